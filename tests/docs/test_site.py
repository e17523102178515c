"""The site of `make docs` builds without a warning, and its references lead somewhere.

It is written where ``$EMO_SITE`` says, else into a scratch folder.
"""

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import griffe
import pytest

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[2]


def build(config, site):
    """Build a site; returns the exit code and what was said."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", site]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    site = Path(os.environ.get("EMO_SITE", tmp_path)).absolute()
    code, said = build(ROOT / "mkdocs.yml", site)
    assert code == 0, said
    pages = {str(page.relative_to(site)): page.read_text() for page in site.rglob("*.html")}
    assert {"index.html", "architecture.html", "api/store.html"} <= pages.keys()
    for name, text in pages.items():
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(?:https?:)?//", text)
        assert not loaded, f"{name}: {loaded}"
        assert 'class="mermaid"' not in text, f"{name}: diagrams load a script from elsewhere"
    styles = "".join(file.read_text() for file in site.rglob("*.css"))
    assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", styles)
    roles = re.findall(r":(?:func|class|meth|attr|data|mod):", pages["api/extract.html"])
    assert not roles


@pytest.mark.parametrize(
    ("page", "complaints"),
    [
        (
            "[gone](gone.md)\n\n[lost](#lost)\n\n[outside](../README.md)\n\n[G][emo.store.Gone]",
            ["gone.md", "#lost", "README.md", "emo.store.Gone"],
        ),
        ("::: emo.store.Gone", ["emo.store.Gone"]),  # ends the build
    ],
    ids=["links", "reference"],
)
def test_a_broken_link_or_reference_fails(page, complaints, tmp_path):
    docs, config = tmp_path / "docs", tmp_path / "mkdocs.yml"
    docs.mkdir()
    (docs / "index.md").write_text(f"# Page\n\n{page}\n")
    shutil.copy(ROOT / "docs" / "griffe_roles.py", docs)
    text = (ROOT / "mkdocs.yml").read_text().replace("paths: [.]", f"paths: [{ROOT}]")
    config.write_text(re.sub(r"^nav:\n.*?\n\n", "", text, flags=re.DOTALL | re.MULTILINE))
    code, said = build(config, tmp_path / "site")
    assert code == 1, said
    severe = [line for line in said.splitlines() if line.startswith(("WARNING", "ERROR"))]
    for complaint in complaints:
        assert [line for line in severe if complaint in line], said


def load_roles():
    path = ROOT / "docs" / "griffe_roles.py"
    spec = importlib.util.spec_from_file_location("griffe_roles", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path):
    """A package read from one file, its docstrings rewritten."""
    roles = load_roles()

    def read(code):
        (tmp_path / "toy.py").write_text(code)
        extensions = griffe.load_extensions(roles.Roles)
        return griffe.load("toy", search_paths=[tmp_path], extensions=extensions)

    return read


def test_roles_become_links(package, caplog):
    found = package(
        "from pathlib import Path\n"
        "class Box:\n"
        '    """A :attr:`size`, a :class:`Path`, :class:`pathlib.PurePath`, :func:`~toy.f`."""\n'
        "    size = 1\n"
        "def f(): ...\n"
    )
    text = found["Box"].docstring.value
    for path, shown in (("toy.Box.size", "size"), ("pathlib.PurePath",) * 2, ("toy.f", "f")):
        assert f'identifier="{path}"><code>{shown}</code>' in text
    assert not caplog.records


def test_a_role_that_names_nothing_is_a_warning(package, caplog):
    code = 'def f():\n    """See :func:`g`, :mod:`toy.gone` and :class:`pathlib.Gone`."""\n'
    with caplog.at_level(logging.WARNING):
        text = package(code)["f"].docstring.value
    assert [record.args[1] for record in caplog.records] == ["g", "toy.gone", "pathlib.Gone"]
    assert "`g`" in text


def test_examples_become_code(package):
    code = (
        'def f():\n    """Say 1, as in::\n\n        f()\n\n    >>> f()\n    1\n\n    So be it."""\n'
    )
    text = package(code)["f"].docstring.value
    assert text == "Say 1, as in:\n\n    f()\n\n```pycon\n>>> f()\n1\n```\n\nSo be it."


def test_docstrings_name_parameters_that_exist(caplog):
    """Of private functions, too; for what has a page, `make docs` says it as well."""
    objects = load_roles().objects_of(griffe.load("emo", search_paths=[ROOT]))
    with caplog.at_level(logging.WARNING, logger="griffe"):
        for each in objects:
            if each.docstring:
                each.docstring.parse("google")
    assert not caplog.messages
