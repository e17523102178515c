"""The arrows of who may import whom; a test fails on any other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "emo"
HEAVY = ("torch", "zarr", "pandas", "sklearn", "matplotlib", "transformers", "numpy", "av")
# layer -> what of emo, and which heavy libraries, its files may import at the top
ARROWS = {
    "errors": (set(), set()),
    "plugins": ({"errors"}, set()),
    "ragged": (set(), {"numpy"}),
    "table": (set(), set()),
    "waiting": (set(), set()),
    "manifest": ({"errors", "plugins", "manifest"}, set()),
    "check": ({"errors", "manifest", "table", "check"}, {"numpy"}),
    "datasets": ({"errors", "plugins", "table", "manifest", "check", "datasets"}, set()),
    "store": ({"errors", "plugins", "ragged", "table", "store"}, {"numpy", "zarr"}),
    "extract": (
        {"errors", "plugins", "ragged", "table", "manifest", "store", "extract"},
        set(HEAVY) - {"pandas", "sklearn", "matplotlib"},
    ),
    "heads": (
        {"errors", "plugins", "ragged", "table", "manifest", "store", "heads"},
        {"numpy", "pandas", "torch"},
    ),
    "score": ({"errors", "plugins", "table", "manifest", "heads", "score"}, {"numpy"}),
    "exchange": ({"manifest"}, set()),
    "predict": ({"errors", "heads", "manifest", "store", "table"}, {"numpy", "pandas"}),
    "listing": ({"errors", "plugins", "table"}, set()),
    "demo": ({"*"}, set(HEAVY)),
    "cli": (
        {
            "errors",
            "cli_dataset",
            "cli_extract",
            "cli_heads",
            "cli_manifest",
            "cli_options",
            "cli_scores",
            "cli_store",
            "cli_weights",
            "waiting",
        },
        set(),
    ),
    "cli_dataset": ({"cli_options"}, set()),
    "cli_extract": ({"cli_options"}, set()),
    "cli_heads": ({"cli_options"}, set()),
    "cli_manifest": ({"cli_options"}, set()),
    "cli_options": (set(), set()),
    "cli_interchange": ({"cli_options"}, set()),
    "cli_scores": ({"cli_options"}, set()),
    "cli_store": ({"errors", "cli_interchange"}, set()),
    "cli_weights": ({"cli_options"}, set()),
    "__main__": ({"cli"}, set()),
    "__init__": (set(), set()),
}


def layer_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(file: Path, *, top_only: bool) -> set[str]:
    tree = ast.parse(file.read_text())
    nodes = tree.body if top_only else list(ast.walk(tree))
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_only_the_allowed_arrows(file):
    allowed, heavy = ARROWS[layer_of(file)]
    for name in imports(file, top_only=True):
        top, *rest = name.split(".")
        if top == "emo" and rest and rest[0] != "__version__" and "*" not in allowed:
            assert rest[0] in allowed, f"{file.name} imports {name}"
        if top in HEAVY:
            assert top in heavy, f"{file.name} imports {name} at the top"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_heads_never_import_extract_and_nobody_imports_cli(file):
    names = imports(file, top_only=False)
    if layer_of(file) == "heads":
        assert not [name for name in names if name.startswith("emo.extract")]
    if not layer_of(file).startswith(("__main__", "cli")):
        assert not [name for name in names if name.startswith("emo.cli")]


def test_help_imports_nothing_heavy():
    code = f"import sys, emo.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_a_store_imports_neither_torch_nor_zarr():
    code = "import sys, emo.store; print([m for m in ('torch', 'zarr') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_comparing_runs_imports_neither_torch_nor_the_store():
    heavy = ("torch", "zarr", "emo.store")
    code = f"import sys, emo.heads.runs.compare; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
