"""What the pages and the files at the root name exists: links, files, rooms, versions, commands."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import emo
from tests.test_words import RETIRED

ROOT = Path(__file__).parents[1]
MAP = ROOT / "docs" / "architecture.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAME = re.compile(r"(?<![\w./-])(?:emo|docs|tests|benchmarks)/[\w./-]*[\w/]")
"""A file or folder of the repository, from its root."""
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_file_names_of_a_page_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    gone = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    gone = [link for link in gone if not link.startswith(("http", "mailto:"))]
    assert not gone, f"links to {', '.join(gone)}"
    names = {name.replace("/NAME.py", "/") for name in NAME.findall(text)}
    assert not [name for name in names if not (ROOT / name).exists()]


def test_every_page_of_docs_is_listed_on_the_first_one():
    first = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= set(LINK.findall(first))


@pytest.mark.parametrize(
    "page",
    sorted((ROOT / "docs").glob("*.md")),
    ids=lambda page: page.name,
)
def test_a_page_begins_with_what_one_can_do_after_it(page):
    said = page.read_text(encoding="utf-8").partition("# ")[2].split("\n")[2]
    assert re.match("After this page (you|`emo` runs)", said)


def tree_of(text):
    """The paths of the map's tree: names in 27 columns, below the folder they are indented to."""
    folders = []
    for line in re.search(r"^```text\nemo/\n(.*?)```", text, re.M | re.S)[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = line[:27].split()
        folders[depth - 1 :] = [names[-1]]
        yield from ("".join(["emo/", *folders[: depth - 1], name]) for name in names)


def test_every_name_on_the_map_exists():
    text = MAP.read_text(encoding="utf-8")
    paths = list(tree_of(text))
    assert {"emo/extract/worker/", "emo/store/recipe.py", "emo/errors.py"} <= set(paths)
    assert not [path for path in paths if not (ROOT / path).exists()]
    prose = re.sub(r"^```text\n.*?```", "", text, flags=re.M | re.S)
    bare = {*re.findall(r"[\w/]+\.py", NAME.sub("", prose))} - {"__init__.py"}
    assert not bare, f"name files from the repository's root: {', '.join(bare)}"


def test_every_room_is_on_the_map():
    text = MAP.read_text(encoding="utf-8")
    rooms = {
        folder.parent.relative_to(ROOT).as_posix() + "/"
        for folder in [*ROOT.glob("emo/*/__init__.py"), *ROOT.glob("emo/*/*/__init__.py")]
    }
    assert rooms - {"emo/datasets/library/"} <= set(tree_of(text))


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert cited.keys() >= {"message", "title", "authors"}  # what the format requires
    assert cited["version"] == emo.__version__
    assert cited["license"] == "Apache-2.0"


def test_contributing_shows_code_that_parses_and_commands_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for code in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        ast.parse(code)
    targets = {*re.findall(r"(?:^|`)make (\w+)", text, re.M)}
    assert {"setup", "test", "docs", "wheel"} <= targets
    subprocess.run(["make", "-n", *sorted(targets)], cwd=ROOT, check=True, capture_output=True)


def glossary():
    """(words of a row, words that are not said for it)."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| (.*) \|$", text, re.M):
        cells = [cell.strip() for cell in row.split("|")]
        if len(cells) == 3 and cells[0] not in ("word", "---"):
            yield re.sub(r" \(.*\)", "", cells[0]).split(", "), cells[2].split(", ")


def test_the_glossary_and_the_code_use_the_same_words():
    """Each word is used in the code, has one row, and is none of the names that were retired."""
    used = set()
    for file in (ROOT / "emo").rglob("*.py"):
        used |= {part.lower() for part in re.findall(r"[A-Z]?[a-z]+", file.read_text())}
    words = [word for row, _ in glossary() for word in row]
    assert len(words) == len(set(words)) > 50
    assert not {word.lower() for word in RETIRED} & set(words)
    assert not [word for word in words if not set(word.lower().split()) <= used]
