"""One word, one thing: identifiers that were retired stay so; docstrings can be read alone.

The words and what they mean are in docs/glossary.md.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "emo"
FILES = sorted(ROOT.rglob("*.py"))
ids = [str(file.relative_to(ROOT)) for file in FILES]
RETIRED = {
    # a name that had several meanings, or whose meaning nobody could guess -> what to say instead
    "place": "location (of a store), index, position, slot (of a worker), step (of time)",
    "places": "locations, indices, positions, slots, steps",
    "Place": "Location",
    "place_of": "part_of_slot, candidates_of ...",
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
KEPT = {("score/submit.py", "Submission"), ("commands/scores.py", "Submission")}
OPENINGS = re.compile(r"(Of|The same|As in the contract|As of|As|Itself|Its)\b")


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_no_retired_identifier(file):
    text = file.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string in RETIRED:
            if (str(file.relative_to(ROOT)), token.string) in KEPT:
                continue
            better = RETIRED[token.string]
            pytest.fail(f"{file.name}:{token.start[0]}: {token.string!r}; say {better}")


def docstrings(file):
    """(line, text) of each docstring: of modules, classes, functions, and below fields."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        for each in node.body:
            value = each.value if isinstance(each, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield each.lineno, value.value


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_docstrings_can_be_read_alone(file):
    """An editor shows one without what stands around it."""
    found = [
        f"{file.name}:{line}: {text.splitlines()[0]}"
        for line, text in docstrings(file)
        if OPENINGS.match(text.lstrip())
    ]
    assert not found, "\n".join(found)


def defined_names(file):
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def test_public_names_are_defined_once():
    """In plugins and commands a name says what the file is for, so that they may repeat."""
    seen, twice = {}, []
    for file in FILES:
        inner = str(file.relative_to(ROOT))
        if inner.startswith(("commands/", "cli.py")) or "/library/" in inner:
            continue
        for name in defined_names(file):
            if name in seen:
                twice.append(f"{name}: {seen[name]} and {inner}")
            seen[name] = inner
    assert not twice, "\n".join(twice)
