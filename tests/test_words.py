"""One word, one thing: identifiers that were retired stay so; docstrings can be read alone.

The words and what they mean are in docs/glossary.md.
"""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

from tests.statements import statements
from tests.together import together

ROOT = Path(__file__).parents[1] / "emo"
FILES = sorted(ROOT.rglob("*.py"))
RETIRED = {
    # a name that had several meanings, or whose meaning nobody could guess -> what to say instead
    "place": "location (of a store), index, position, slot (of a worker), step (of time)",
    "places": "locations, indices, positions, slots (of workers), steps",
    "Place": "Location",
    "place_of": "part_of_ordinal, candidates_of ...",
    "places_of": "candidates_of, turn_numbers_of",
    "drop_missing": "drop_without_features",
    "Loaded": "LoadedModels (of a worker), LabelledClips (of a fit)",
    "Ready": "PreparedUnit, WorkerReady",
    "Source": "ClipSource, StreamSource",
    "Ask": "Request",
    "asks": "requests",
    "Asked": "FitRequest",
    "asked_of": "fit_request",
    "Crew": "Supervisor",
    "Staff": "WorkerPool",
    "hire": "start",
    "guilty": "involved",
    "condemn": "give_up",
    "Card": "BackboneCard, DatasetCard",
    "Piece": "StretchResult",
    "Problem": "StoreProblem, ManifestProblem",
    "Rows": "TextTable, StreamTokens, ModelRows",
    "Submission": "ArrayJob; the class of emo/score keeps the name",
}
RETIRED_IN_A_ROOM = {
    # a word that means something else in another room
    ("store", "slot"): "ordinal; a slot is room for one worker",
    ("store", "slots"): "ordinals; a slot is room for one worker",
    ("store", "Slots"): "Ordinals; a slot is room for one worker",
}
KEPT = {("score/submit.py", "Submission"), ("commands/scores.py", "Submission")}
OPENINGS = re.compile(
    # after brackets or quotes, in capitals or not: what only the text around it explains
    r"\W*(Of|(The )?same|(The )?other|As|Itself|Its?|They|Their|Them|These|Those|This|That|"
    r"Likewise|Ditto|Also|Too|So|Else|Otherwise|Again|And|But|Or|Then|Such|Whose|Neither|"
    r"Above|Below|Not (the )?same|Here the same|See the contract|See above|Like (its|the other))\b",
    re.IGNORECASE,
)


ANY_RETIRED = re.compile(rf"\b({'|'.join({*RETIRED, *(word for _, word in RETIRED_IN_A_ROOM)})})\b")


@together(FILES)
def test_no_retired_identifier(file):
    text = file.read_text(encoding="utf-8")
    if not ANY_RETIRED.search(text):
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.NAME:
            continue
        inner = file.relative_to(ROOT)
        better = RETIRED_IN_A_ROOM.get((inner.parts[0], token.string))
        if "dataclass(" in token.line:  # its argument is called slots
            better = None
        if token.string in RETIRED and (str(inner), token.string) not in KEPT:
            better = RETIRED[token.string]
        if better:
            pytest.fail(f"{file.name}:{token.start[0]}: {token.string!r}; say {better}")


RETIRED_PARTS = {"place", "places", "crew", "guilty", "condemn", "hire", "staff"}
"""Words that no name may hold, whatever stands before or after them."""
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
MAY_HOLD = re.compile(
    rf"(?<![a-z])(?i:{'|'.join(RETIRED_PARTS)})|"
    + "|".join(spelt for part in RETIRED_PARTS for spelt in (part.title(), part.upper()))
)
"""Found in every text with such a name, and rarely elsewhere: most texts need no parser."""


@cache
def parsed(source):
    return ast.parse(source)


def names_in(source):
    """(line, name) of everything that is named in a file, also inside f-strings."""
    for node in ast.walk(parsed(source)):
        for field in ("id", "attr", "name", "arg", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield getattr(node, "lineno", 0), name


@together(FILES)
def test_no_name_holds_a_retired_word(file):
    text = file.read_text(encoding="utf-8")
    named = [(0, file.stem), (0, file.parent.name)]
    if MAY_HOLD.search(text):
        named += names_in(text)
    found = [
        f"{file.name}:{line}: {name}"
        for line, name in named
        if RETIRED_PARTS & {part.lower() for part in PART.findall(name)}
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "name", ["_place", "Places", "PLACE", "my_place", "StorePlace", "places_", "myPLACE"]
)
def test_a_retired_word_is_seen_in_every_spelling(name):
    assert RETIRED_PARTS & {part.lower() for part in PART.findall(name)}
    assert MAY_HOLD.search(f"a {name} = 1")


def docstrings(source):
    """(line, text) of each docstring: of modules, classes, functions, and below fields."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in (parsed(source), *statements(parsed(source))):
        if not isinstance(node, kinds):
            continue
        for each in node.body:
            value = each.value if isinstance(each, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield each.lineno, value.value


@together(FILES)
def test_docstrings_can_be_read_alone(file):
    """An editor shows one without what stands around it."""
    found = [
        f"{file.name}:{line}: {text.splitlines()[0]}"
        for line, text in docstrings(file.read_text(encoding="utf-8"))
        if OPENINGS.match(text.lstrip())
    ]
    assert not found, "\n".join(found)


COMMANDS = [file for file in FILES if "commands" in file.parts or file.name == "cli.py"]


@together(COMMANDS)
def test_help_says_dialogue_and_gold(file):
    """These are the glossary's words, not ``conversation`` and ``truth``."""
    for node in ast.walk(parsed(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = re.search(r"\b(conversations?|(ground )?truth)\b", node.value, re.IGNORECASE)
            assert not found, f"{file.name}:{node.lineno}: {found[0]!r}; see docs/glossary.md"


@pytest.mark.parametrize(
    "opening",
    ["Likewise for a folder.", "It runs.", "the same.", "(The same as above.)", "``its`` name"],
)
def test_openings_that_need_the_text_around_them_are_found(opening):
    source = f'class A:\n    async def go(self):\n        """{opening}"""'
    assert [text for _, text in docstrings(source) if OPENINGS.match(text)] == [opening]


def defined_names(source):
    """Public functions, classes, constants and aliases at the top of a module."""
    for node in parsed(source).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = [node.name]
            case ast.Assign():
                names = [each.id for each in walk_names(node.targets)]
            case ast.AnnAssign():
                names = [each.id for each in walk_names([node.target])]
            case _:
                names = []
        yield from (name for name in names if not name.startswith("_"))


def walk_names(targets):
    """Names that an assignment binds, those in tuples too; not attributes and items."""
    for target in targets:
        match target:
            case ast.Name():
                yield target
            case ast.Tuple() | ast.List():
                yield from walk_names(target.elts)


def test_defined_names_are_those_that_others_can_import():
    source = """
A, (B, _c) = 1, (2, 3)
D: int = 4
E = F = dict[str, int]
a.attribute = b[0] = 5
async def g(): local = 1
class H: field = 1
"""
    assert list(defined_names(source)) == ["A", "B", "D", "E", "F", "g", "H"]


PLUGIN_FOLDERS = ("extract/backbones/", "extract/executors/", "store/interop/")


def test_public_names_are_defined_once():
    """In plugins and commands a name says what the file is for, so that they may repeat; the names
    of api/ are those of what it shows."""
    seen, twice = {}, []
    for file in FILES:
        inner = file.relative_to(ROOT).as_posix()
        if inner.startswith(("commands/", "cli.py", "api/")) or "/library/" in inner:
            continue
        for name in defined_names(file.read_text(encoding="utf-8")):
            if name.isupper() and inner.startswith(PLUGIN_FOLDERS):
                continue
            if name in seen:
                twice.append(f"{name}: {seen[name]} and {inner}")
            seen[name] = inner
    assert not twice, "\n".join(twice)
