"""Turns the cross references of docstrings into links, and reports those that name nothing.

Docstrings refer to code as Sphinx does: ``:func:`emo.store.backend.location.location` ``. This
extension of griffe (which reads the code for `make docs`) makes each of them a link to the page of
the public API, or plain code when the object has no page there. A reference to an object that does
not exist is a warning, and `mkdocs build --strict` fails on it.
"""

import importlib
import logging
import re
from collections.abc import Iterator
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|class|meth|attr|data|mod|exc):`(~?)([\w.]+)`")
LITERAL_BLOCK = re.compile(r"::$", re.MULTILINE)
DOCTEST = re.compile(r"^>>> .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
logger = logging.getLogger("mkdocs.plugins.griffe_roles")


class Roles(griffe.Extension):
    """Rewrite the docstrings of a package once all of its modules are read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite every docstring of ``pkg``, of private objects too, so that all are checked."""
        for each in objects_of(pkg):
            if each.docstring is not None:
                each.docstring.value = as_markdown(each, each.docstring.value)


def objects_of(parent: griffe.Object) -> Iterator[griffe.Object]:
    """Yield ``parent`` and everything defined in it; names that are only imported are left out."""
    yield parent
    for member in parent.members.values():
        if isinstance(member, griffe.Object):
            yield from objects_of(member)


def as_markdown(owner: griffe.Object, text: str) -> str:
    """Return the docstring as Markdown: roles are links, examples of an interpreter are code."""

    def link(role: re.Match[str]) -> str:
        is_short, name = role.groups()
        path = find(owner, name)
        if path is None:
            logger.warning("%s: the docstring refers to %s, which does not exist", owner.path, name)
            return f"`{name}`"
        shown = name.rpartition(".")[2] if is_short else name
        return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>'

    return DOCTEST.sub(r"```pycon\n\g<0>\n```", LITERAL_BLOCK.sub(":", ROLE.sub(link, text)))


def find(owner: griffe.Object, name: str) -> str | None:
    """Return the full dotted name of what ``name`` means inside ``owner``; None: there is no such.

    Looked for are, in this order: the members of ``owner`` and of what it is defined in, with the
    names that its module imports; then full names, of other libraries too.
    """
    first, _, rest = name.partition(".")
    try:
        inside = owner.resolve(first) + (f".{rest}" if rest else "")
    except griffe.NameResolutionError:
        inside = name
    for path in (inside, name):
        try:
            return str(owner.modules_collection[path].canonical_path)
        except (griffe.AliasResolutionError, KeyError):
            if path.partition(".")[0] != owner.package.name and _exists(path):
                return path
    return None


def _exists(name: str) -> bool:
    """Return whether another library has ``name``, such as ``pathlib.Path`` or ``json``."""
    module, _, attribute = name.rpartition(".")
    try:
        found = importlib.import_module(module or name)
        return not module or hasattr(found, attribute)
    except ImportError:
        return False
