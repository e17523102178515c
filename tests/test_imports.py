"""The walls between the rooms: who may import whom, in two levels, and no circles.

A room is a folder of ``emo/`` or a file beside them; the folders ``extract``, ``heads`` and
``store`` are cut once more, and ``INNER`` names single folders that are rooms. The same lists
stand in each folder's ``__init__.py`` for its readers.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.statements import directly_below, statements
from tests.together import together

ROOT = Path(__file__).parents[1] / "emo"
HEAVY = (
    "torch", "zarr", "pandas", "sklearn", "matplotlib", "transformers", "numpy", "av", "scipy",
    "timm", "h5py", "ray", "librosa", "opensmile",
)  # fmt: skip
CUT = ("extract", "heads", "store")
INNER = ("datasets.check", "datasets.synthetic", "machine.untrusted")
"""Folders in other rooms that are rooms of their own."""
MOST_ENTRIES = 19
"""Files and folders side by side in rooms that are no plugin folders."""
MOST_AT_TOP = 18
"""Files and folders side by side in emo/; one a room or a command's word."""
CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
"""Conditions whose body does not run; their ``else`` does, and so does ``if not TYPE_CHECKING``."""
DYNAMIC = (
    "import_module", "__import__", "exec_module", "load_module", "resolve_name", "run_module",
    "run_path",
)  # fmt: skip
"""Functions that import a module by a name that is computed."""
PLUGINS = {"extract.backbones", "extract.executors", "heads.library", "store.interop"}
# room: what of emo its files may import anywhere, and which heavy libraries at their top
ARROWS = {
    "__init__": ("", ""),
    "__main__": ("cli", ""),
    "adapt": ("*", "numpy torch transformers"),
    "api": ("*", "numpy"),
    "cli": ("commands datasets.check errors machine manifest plugins", ""),
    "commands": ("*", ""),
    "datasets": ("datasets.check errors machine machine.untrusted manifest plugins", ""),
    "datasets.check": (
        "errors extract.decode extract.media machine machine.untrusted manifest",
        "numpy",
    ),
    "datasets.synthetic": ("errors machine machine.untrusted", "av numpy"),
    "errors": ("", ""),
    "extract": ("", ""),
    "extract.backbone": (
        "errors extract.media manifest plugins store.adapted store.recipe",
        "numpy",
    ),
    "extract.backbones": (
        "errors extract.backbone extract.decode extract.media extract.models "
        "extract.networks extract.transforms machine manifest plugins store.recipe",
        "numpy torch",
    ),
    "extract.decode": (
        "errors extract.faces extract.media machine manifest store.backend machine.untrusted",
        "numpy",
    ),
    "extract.executor": ("errors extract.job machine plugins", ""),
    "extract.executors": (
        "errors extract.executor extract.job extract.models extract.worker machine plugins "
        "store.backend",
        "ray",
    ),
    "extract.faces": ("extract.media extract.models machine", "numpy torch"),
    "extract.job": (
        "errors extract.backbone extract.decode extract.models manifest plugins store.backend "
        "machine store.part store.recipe store.store machine.untrusted",
        "numpy",
    ),
    "extract.media": ("", "numpy"),
    "extract.models": (
        "errors extract.backbone extract.media machine plugins store.adapted store.recipe "
        "machine.untrusted",
        "numpy torch",
    ),
    "extract.networks": (
        "errors extract.media extract.models extract.transforms",
        "numpy torch transformers",
    ),
    "extract.report": (
        "errors extract.executor extract.job extract.resume extract.run machine",
        "",
    ),
    "extract.resume": (
        "extract.executor extract.executors extract.job store.backend",
        "",
    ),
    "extract.run": (
        "errors extract.backbone extract.decode extract.executor extract.executors extract.job "
        "manifest plugins store.adapted store.backend store.erased_ids store.maintain store.store",
        "",
    ),
    "extract.transforms": ("errors machine machine.untrusted", "numpy torch"),
    "extract.worker": (
        "errors extract.backbone extract.backbones extract.decode extract.faces "
        "extract.job extract.media extract.models machine manifest plugins store.erased_ids "
        "store.part store.recipe_folder store.store machine.untrusted",
        "numpy torch",
    ),
    "heads": ("", ""),
    "heads.data": (
        "errors heads.head heads.labels heads.metrics heads.options manifest plugins "
        "ragged store.adapted store.backend store.recipe store.store",
        "numpy torch",
    ),
    "heads.fitting": (
        "errors heads.data heads.head heads.metrics heads.options heads.presets "
        "heads.runs heads.training machine manifest plugins ragged store.adapted store.backend "
        "store.recipe machine.untrusted",
        "numpy torch",
    ),
    "heads.head": ("heads.labels ragged", "numpy torch"),
    "heads.inner_folds": ("heads.head heads.labels ragged", "torch"),
    "heads.labels": ("", "numpy"),
    "heads.layers": ("heads.data heads.head heads.labels ragged", "numpy torch"),
    "heads.library": (
        "errors heads.head heads.inner_folds heads.labels heads.layers heads.options "
        "heads.solvers ragged",
        "torch",
    ),
    "heads.metrics": ("errors heads.labels", "numpy"),
    "heads.options": ("errors", ""),
    "heads.presets": ("errors plugins", ""),
    "heads.runs": (
        "errors heads.data heads.head heads.metrics heads.options heads.presets "
        "heads.training manifest plugins ragged store.adapted store.backend store.recipe "
        "store.store machine machine.untrusted",
        "numpy torch",
    ),
    "heads.solvers": ("heads.labels", "torch"),
    "heads.training": (
        "errors heads.data heads.head heads.inner_folds heads.labels heads.layers heads.metrics "
        "heads.options machine ragged store.backend machine.untrusted",
        "numpy torch",
    ),
    "machine": ("errors", ""),
    "machine.untrusted": ("errors", "numpy"),
    "manifest": ("errors machine plugins store.backend machine.untrusted", ""),
    "plugins": ("errors machine", ""),
    "predict": (
        "errors extract.backbone extract.decode extract.faces extract.job extract.media "
        "extract.executor extract.models extract.run extract.worker heads.data heads.labels "
        "heads.metrics heads.runs machine manifest plugins ragged store.adapted store.backend "
        "store.part store.recipe store.recipe_folder store.store machine.untrusted",
        "numpy pandas torch",
    ),
    "ragged": ("", "numpy"),
    "report": (
        "errors extract.decode extract.media extract.transforms heads.data heads.metrics "
        "heads.runs machine manifest plugins predict ragged score store.adapted "
        "store.recipe_folder store.store machine.untrusted",
        "numpy",
    ),
    "score": (
        "errors heads.labels heads.metrics heads.runs machine manifest plugins machine.untrusted",
        "numpy",
    ),
    "store": ("ragged store.part store.recipe store.store", ""),
    "store.adapted": ("errors store.backend store.recipe machine.untrusted", ""),
    "store.backend": ("errors store.recipe machine.untrusted", ""),
    "store.erase": (
        "errors machine manifest plugins store.adapted store.backend store.erased_ids "
        "store.exchange store.index store.maintain store.part store.recipe store.recipe_folder "
        "store.store machine.untrusted",
        "numpy",
    ),
    "store.erased_ids": ("errors store.backend machine.untrusted", ""),
    "store.exchange": (
        "errors plugins ragged store.adapted store.backend store.lazy store.maintain store.part "
        "machine store.recipe store.recipe_folder store.store machine.untrusted",
        "numpy",
    ),
    "store.index": (
        "errors ragged store.backend store.lazy store.part store.recipe machine.untrusted",
        "numpy",
    ),
    "store.interop": (
        "errors plugins ragged store.exchange store.lazy machine.untrusted",
        "h5py numpy zarr",
    ),
    "store.lazy": ("store.part", ""),
    "store.maintain": (
        "errors store.adapted store.backend store.erased_ids store.index store.part store.recipe "
        "store.recipe_folder store.store",
        "numpy",
    ),
    "store.part": ("errors plugins ragged store.backend store.recipe machine.untrusted", "numpy"),
    "store.recipe": ("errors machine machine.untrusted", "numpy"),
    "store.recipe_folder": (
        "errors plugins ragged store.adapted store.backend store.index store.lazy store.part "
        "store.recipe store.recipe_parts machine.untrusted",
        "numpy",
    ),
    "store.recipe_parts": ("errors store.backend store.index store.part store.recipe", ""),
    "store.store": (
        "errors plugins ragged store.adapted store.backend store.recipe store.recipe_folder",
        "",
    ),
}
FILES = sorted(ROOT.rglob("*.py"))


def name_of(file: Path) -> str:
    """``emo/store/part/zip.py`` -> ``store.part.zip``; a package: its folder's name."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """``store.part.zip`` -> ``store.part``, ``score.pairs`` -> ``score``."""
    parts = name.split(".")
    inner = ".".join(parts[:2]) in INNER
    return ".".join(parts[: 2 if inner or parts[0] in CUT else 1])


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports(tree: ast.Module, *, top_only: bool) -> set[str]:
    """Every dotted name that a module imports, ``from a import b`` as ``a.b``.

    Args:
        tree: the module.
        top_only: only what is imported when the module is; else also what its functions import.
    """
    names = set()
    for node in run_on_import(tree) if top_only else statements(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: name the module in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that run when the module is imported, also in ``try``, ``if`` and classes."""
    for child in directly_below(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) in CHECKING:
            for each in child.orelse:
                yield each
                yield from run_on_import(each)
            continue
        yield child
        yield from run_on_import(child)


def imports_by_name(tree: ast.Module) -> list[int]:
    """Lines that import, or may import, a module by a name that no list can hold."""
    return [node.lineno for node in ast.walk(tree) if _may_import(node)]


def _may_import(node: ast.AST) -> bool:
    """Whether a node names a function that imports, runs text as code, or writes sys.modules."""
    match node:
        case ast.Call(func=ast.Name(id="exec" | "eval")):
            return True
        case ast.Call(func=ast.Name(id="getattr"), args=[of, *_]):
            return ast.unparse(of) in ("importlib", "builtins", "pkgutil", "runpy")
        case ast.Subscript(value=of, ctx=ast.Store()):
            return ast.unparse(of) == "sys.modules"
        case ast.ImportFrom(module="emo", names=[ast.alias(name="*")]):
            return True
        case ast.Name(id="run_path"):
            return False  # a usual name of a variable; importing the function is seen
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return name.split(".")[-1] in DYNAMIC
    return False


MODULES = {name_of(file): file for file in FILES}


@cache
def emo_imports(file: Path) -> frozenset[str]:
    """The files of emo that a file imports, wherever in it, as names such as ``store.recipe``."""
    found = set()
    is_front = name_of(file) == "__init__"  # `import emo` loads its public names when first used
    for name in imports(tree_of(file), top_only=is_front):
        if name.split(".")[0] != "emo":
            continue
        inner = name.removeprefix("emo").lstrip(".")
        while inner and inner not in MODULES:
            inner = inner.rpartition(".")[0]
        found.add(inner or "__init__")
    return frozenset(found - {name_of(file)})


@together(FILES)
def test_only_the_allowed_arrows(file):
    room = room_of(name_of(file))
    allowed, heavy = (words.split() for words in ARROWS[room])
    for name in emo_imports(file):
        other = room_of(name)
        assert other in (room, "__init__", *allowed) or allowed == ["*"], (
            f"emo/{file.relative_to(ROOT)} imports emo.{name}; {room} may import: {allowed}"
        )
    for name in imports(tree_of(file), top_only=True):
        if (top := name.split(".")[0]) in HEAVY:
            assert top in heavy, f"{file.name} imports {name} at the top"


@together(FILES)
def test_only_plugins_are_imported_by_a_name_that_is_computed(file):
    if name_of(file) not in ("plugins", "__init__", "machine.libraries"):
        found = imports_by_name(tree_of(file))
        assert not found, f"emo/{file.relative_to(ROOT)}, lines {found}: use an import statement"


def test_imports_below_statements_are_seen():
    tree = ast.parse("""
from typing import TYPE_CHECKING
try:
    import torch
except ImportError:
    torch = None
if torch:
    from av import open
class A:
    import zarr
    def late(self): import pandas
if TYPE_CHECKING:
    import sklearn
else:
    import numpy
if not TYPE_CHECKING:
    import scipy
""")
    assert imports(tree, top_only=True) == {
        "typing.TYPE_CHECKING", "torch", "av.open", "zarr", "numpy", "scipy",
    }  # fmt: skip
    assert {"pandas", "sklearn"} <= imports(tree, top_only=False)


@pytest.mark.parametrize(
    "line",
    [
        "importlib.import_module('emo.cli')",
        "__import__('emo.cli')",
        "from importlib import import_module as f",
        "load = builtins.__import__",
        "pkgutil.resolve_name('emo.cli')",
        "runpy.run_module('emo.cli')",
        "from runpy import run_path",
        "exec('import emo.cli')",
        "eval(text)",
        "getattr(importlib, name)('emo.cli')",
        "sys.modules['emo.cli'] = module",
        "loader.load_module('emo.cli')",
        "from emo import *",
    ],
)
def test_imports_by_name_are_seen(line):
    assert imports_by_name(ast.parse(line)) == [1]


def test_every_arrow_of_the_table_is_used():
    used = defaultdict(set)
    for file in FILES:
        used[room_of(name_of(file))] |= set(map(room_of, emo_imports(file)))
    for room, (allowed, _) in ARROWS.items():
        unused = set(allowed.split()) - used[room] - {"*"}
        assert not unused, f"{room} imports nothing of {', '.join(unused)}: take it out"


def circles(arrows):
    """Names that import each other, directly or through others."""
    reach = {name: set(others) for name, others in arrows.items()}
    changed = True
    while changed:
        changed = False
        for others in reach.values():
            more = set().union(*(reach.get(other, set()) for other in others)) - others
            others |= more
            changed |= bool(more)
    return sorted(name for name, others in reach.items() if name in others)


def test_no_circle_of_files():
    assert circles({name: emo_imports(file) for name, file in MODULES.items()}) == []


def test_no_circle_of_rooms():
    arrows = defaultdict(set)
    for name, file in MODULES.items():
        others = {room_of(other) for other in emo_imports(file)} - {room_of(name)}
        # a package's own __init__ is the face of its rooms: it imports them, they do not import it
        arrows[f"{name}'s face" if name in CUT else room_of(name)] |= others
    assert circles(arrows) == []


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]
    assert circles({"a": {"b"}, "b": {"c"}}) == []


def packages():
    return [file for file in FILES if file.name == "__init__.py" and file.parent != ROOT]


@together(packages())
def test_each_folder_says_what_it_may_import_and_what_to_read_first(file):
    words = ast.get_docstring(tree_of(file)) or ""
    lines = dict(re.findall(r"^(May import|Read first): (.*?)\.$", words, re.DOTALL | re.MULTILINE))
    room = room_of(name_of(file))
    if name_of(file) == room:
        said = lines["May import"].replace("nothing of emo", "").replace(",", " ")
        expected = ARROWS[room][0].replace("*", "everything")
        assert sorted(said.split()) == sorted(expected.split()), "as in ARROWS"
    assert (file.parent / lines["Read first"]).is_file()


@together([ROOT, *(file.parent for file in packages())])
def test_few_things_lie_side_by_side(folder):
    room = ".".join(folder.relative_to(ROOT).parts)
    unread = {"__pycache__", "py.typed"}  # nothing that a reader looks into
    entries = [each for each in folder.iterdir() if each.name not in unread]
    if room not in PLUGINS and room != "datasets.library":
        most = MOST_AT_TOP if folder == ROOT else MOST_ENTRIES
        assert len(entries) <= (16 if room in CUT else most)


@together(FILES)
def test_heads_never_import_extract_and_nobody_imports_commands(file):
    rooms = {name.split(".")[0] for name in emo_imports(file)}
    top = name_of(file).split(".")[0]
    if top == "heads":
        assert "extract" not in rooms
    if top not in ("cli", "commands"):
        assert "commands" not in rooms
    if top != "__main__":
        assert "cli" not in rooms


OPENS_MEDIA = ("extract.decode", "datasets.synthetic")
"""The rooms that read media files, and that which makes some for the demo."""


@together(FILES)
def test_media_are_opened_in_one_room(file):
    """PyAV is imported nowhere else, not even inside a function."""
    names = {name.split(".")[0] for name in imports(tree_of(file), top_only=False)}
    assert "av" not in names or name_of(file).startswith(OPENS_MEDIA)


def test_every_folder_with_code_is_a_package():
    """A folder without ``__init__.py`` would be seen by no other test of this file."""
    folders = {file.parent for file in FILES}
    assert [str(each) for each in folders if not (each / "__init__.py").is_file()] == []


def loaded_by(code, names):
    """Which of ``names`` are imported after ``code`` ran in a fresh interpreter."""
    code = f"import sys; {code}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_help_imports_nothing_heavy():
    assert loaded_by("import emo.cli", HEAVY) == "[]"


def test_predicting_one_clip_imports_no_pandas():
    assert loaded_by("import emo.predict.file, emo.predict.one_clip", ("pandas",)) == "[]"


def test_reading_a_store_imports_neither_torch_nor_zarr():
    assert loaded_by("import emo.store", ("torch", "zarr")) == "[]"


def test_comparing_runs_imports_neither_torch_nor_the_store():
    heavy = ("torch", "zarr", "emo.store")
    assert loaded_by("import emo.heads.runs.comparing.compare", heavy) == "[]"
