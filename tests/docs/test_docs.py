"""Every code block of README and docs is executed, and what it prints is what the page shows.

``python`` blocks of a page run in order in one namespace, ``console`` blocks run each ``$`` line
in a shell; both in a scratch folder of the page. The README's commands are processes of their
own, those of the other pages forks of a warm one. Words must be equal, digits may differ. A line
``…`` stands for any lines. Blocks of ``sh`` (installation, make) and ``yaml`` (a Kubernetes job)
are checked, not run. A page that says ``<!-- scratch: clips -->`` finds 24 synthetic clips and
their ``manifest.csv`` there; one that says ``<!-- service: s3://bucket -->`` an S3 server with that
bucket in its environment. The quickstart finds MELD's tables: a part of them, whose output is
not compared, or all (``-m slow``). A block below ``<!-- needs: MODULE -->`` wants a package of
weights: it is run among 24 clips by ``make models`` alone.
"""

import contextlib
import csv
import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "docs" / "quickstart-meld.md"  # needs real data, see below
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("*.md")} - {QUICKSTART})]
PART = {"train": 25, "dev": 6, "test": 6}
"""Dialogues of MELD that the quickstart is run on unless ``-m slow`` asks for all."""
BLOCK = re.compile(r"^(?:<!-- needs: (\w+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""Package that the block needs, language, code."""
NEEDY = [page for page in PAGES if "<!-- needs: " in page.read_text()]
RUN = {"python", "console", "sh", "yaml"}
SHOWN = {"text", "csv", "json", ""}  # results, not code


@pytest.fixture
def real_emo(monkeypatch):
    """Shells find the `emo` that is installed beside this Python."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)


@pytest.fixture
def quick_emo(real_emo, warm_emo, monkeypatch):
    """Shells find the `emo` that has imported everything already."""
    if warm_emo is not None:
        monkeypatch.setenv("PATH", str(warm_emo), prepend=os.pathsep)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page.name == "README.md" else pytest.mark.docs)
        for page in PAGES
    ],
    ids=[page.name for page in PAGES],
)
def test_a_page_does_what_it_shows(page, demo_clips, tmp_path, monkeypatch, request):
    text = page.read_text()
    request.getfixturevalue("real_emo" if page.name == "README.md" else "quick_emo")
    if named := re.search(r"<!-- service: s3://([\w-]+) -->", text):
        request.getfixturevalue("object_server").make_bucket(named[1])
    if "<!-- scratch: clips -->" in text:
        shutil.copytree(demo_clips, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    _run_page(page)


@pytest.mark.docs
def test_the_quickstart_runs_on_a_part_of_meld(real_data, quick_emo, tmp_path, monkeypatch):
    (tmp_path / "MELD").mkdir()
    for split, dialogues in PART.items():
        name = f"{split}_sent_emo.csv"
        with (real_data / "text" / "MELD" / name).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        kept = [row for row in rows if int(row[header.index("Dialogue_ID")]) < dialogues]
        with (tmp_path / "MELD" / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *kept])
    monkeypatch.chdir(tmp_path)
    _run_page(QUICKSTART, is_compared=False)
    assert {"run.json", "predictions.csv"} <= {path.name for path in Path("runs/meld").iterdir()}


@pytest.mark.models
@pytest.mark.parametrize("page", NEEDY, ids=lambda page: page.name)
def test_blocks_that_need_a_package_do_what_they_show(
    page, demo_clips, quick_emo, tmp_path, monkeypatch
):
    shutil.copytree(demo_clips, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for package, language, code in BLOCK.findall(page.read_text()):
        if package:
            if find_spec(package) is None:
                pytest.skip(f"the package {package} is not installed: make models")
            assert language == "console"
            _run_console(code)


@pytest.mark.slow
def test_the_quickstart_shows_what_meld_gives(real_data, real_emo, tmp_path, monkeypatch):
    (tmp_path / "MELD").symlink_to(real_data / "text" / "MELD")
    monkeypatch.chdir(tmp_path)
    _run_page(QUICKSTART)


def _run_page(page, *, is_compared=True):
    namespace = {"__name__": "page"}
    for package, language, code in BLOCK.findall(page.read_text()):
        if package:
            continue
        assert language in RUN | SHOWN, f"{page.name}: no rule for a block of {language!r}"
        if language == "python":
            _run_python(code, namespace, page)
        elif language == "console":
            _run_console(code, is_compared=is_compared)
        elif language == "sh":
            _check_install(code)
        elif language == "yaml":
            _check_job(code)


def _run_python(code, namespace, page):
    shown = re.findall(r"^# prints: (.*)$", code, re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(page), "exec"), namespace)
    assert not shown or _words("\n".join(shown)) == _words(printed.getvalue())


def _run_console(code, *, is_compared=True):
    for command, expected in re.findall(r"^\$ (.*?)\n(.*?)(?=^\$ |\Z)", code, re.M | re.S):
        while command.endswith("\\"):
            more, _, expected = expected.partition("\n")
            command = command[:-1] + more.removeprefix("> ")
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        assert done.returncode in {0, 3}, f"$ {command}\n{done.stdout}{done.stderr}"
        if not is_compared:
            continue
        shown, printed = _words(expected), _words(done.stdout)
        if "…" in shown:
            parts = re.split(r"^…$", expected, flags=re.M)
            pattern = ".*".join(re.escape(_words(part)) for part in parts)
            assert re.fullmatch(pattern, printed, re.S), f"$ {command}\n{shown}\n{printed}"
        else:  # the order of classes that are ranked by a number may differ
            assert sorted(shown.split()) == sorted(printed.split()), (
                f"$ {command}\nshown:   {shown}\nprinted: {printed}"
            )


def _words(text):
    """Digits, signs and the amount of white space do not count."""
    return " ".join(re.sub(r"[-+]?[\d.,]*\d[\d.,]*", "#", text).split())


def _check_install(code):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for line in filter(None, map(str.strip, code.splitlines())):
        line = line.split("#")[0].strip()
        if line.startswith("make") or "=cpu make" in line:
            target = line.split()[-1]
            subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)
        elif "pip install" in line:
            for extra in re.findall(r"\[(.*?)\]", line):
                assert set(extra.split(",")) <= set(extras), line
        else:
            given = r"(git clone|cd|python3? -m venv|\. .venv/bin/activate|emo --install-comp)"
            assert re.match(given, line), line


def _check_job(code):
    """A Kubernetes job whose container runs a command of ours with options that exist."""
    document = yaml.safe_load(code)
    assert (document["kind"], document["spec"]["completionMode"]) == ("Job", "Indexed")
    (container,) = document["spec"]["template"]["spec"]["containers"]
    program, *words = container["command"]
    assert program == "emo"
    command = itertools.takewhile(str.isalpha, words)  # such as `job run`
    shown = subprocess.run(
        [sys.executable, "-m", "emo", *command, "--help"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for word in words:
        assert not word.startswith("--") or re.search(rf"{word}\b", shown), word


def test_words_ignore_digits_but_not_words():
    assert _words("weighted F1  .512 ± 0.01") == _words("weighted F1 .533 ± 0.02")
    assert _words("weighted F1 .5") != _words("macro F1 .5")
