"""Hash the files of a class that somebody wrote outside of emo, to notice that they were edited.

The hash is of the code alone: comments, docstrings and spaces do not count.
"""

import ast
import hashlib
import io
import sys
import tokenize
import warnings
from pathlib import Path
from types import ModuleType

FILES_MARK = "file:"
"""Start of a hash of files; a hash of a class in a session has none."""
MOST_FILES = 200
"""Most files that one hash covers."""
_INSTALLED = {"site-packages", "dist-packages"}
_NO_CODE = {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}
_BLOCKS = {tokenize.INDENT: "\1", tokenize.DEDENT: "\2"}
_DOCSTRING = [tokenize.STRING, tokenize.NEWLINE]


class EditedCodeWarning(UserWarning):
    """Code of one's own was edited since it made the numbers that are used now."""


def code_files_hash(kind: type) -> str | None:
    """Return a hash of the file of a class and of the files beside it that it imports.

    Args:
        kind: a class that is no part of emo.

    Returns:
        :data:`FILES_MARK` and 16 hex digits; None: the class belongs to emo or has no source file.
    """
    module = sys.modules.get(kind.__module__)
    if kind.__module__.partition(".")[0] == "emo" or module is None:
        return None
    files = _files(module)
    if not files:
        return None
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\n{files[name]}\n".encode())
    return f"{FILES_MARK}{digest.hexdigest()[:16]}"


def warn_if_edited(what: str, was: object, now: object) -> None:
    """Warn, once in a process, if two hashes of :func:`code_files_hash` differ.

    Args:
        what: what the code made, and whose code it is, such as ``the tokens of recipe 'mine' were
            made by mine:Mine``.
        was: the hash then; None or of another kind: unknown, which is no difference.
        now: the hash now.
    """
    if was != now and all(
        isinstance(each, str) and each.startswith(FILES_MARK) for each in (was, now)
    ):
        warnings.warn(
            f"{what}, whose code was edited since. If the edit changes its numbers, results are "
            "wrong: raise the version (of a backbone), or make them again",
            EditedCodeWarning,
            stacklevel=1,
        )


def _files(module: ModuleType) -> dict[str, str]:
    """Return module name -> its code without docstrings, with the modules beside it."""
    found: dict[str, str] = {}
    home = _home(module)
    pending = [module]
    while pending and len(found) < MOST_FILES:
        each = pending.pop()
        file = getattr(each, "__file__", None)
        if each.__name__ in found or not file or not _is_beside(Path(file), each.__name__, home):
            continue
        try:
            source = Path(file).read_bytes()
            tree, found[each.__name__] = ast.parse(source), _code(source)
        except (OSError, SyntaxError, ValueError):  # it was removed, or is no source
            continue
        pending += [sys.modules[name] for name in _imported(tree, each) if name in sys.modules]
    return found


def _home(module: ModuleType) -> Path:
    """Return the folder whose files count: of an installed module only its own package."""
    file = Path(getattr(module, "__file__", None) or "")
    outer, _, inner = module.__name__.partition(".")
    if not _is_installed(file):
        return file.parents[inner.count(".") + 1] if inner else file.parent
    package = getattr(sys.modules.get(outer), "__file__", None)
    return Path(package).parent if package and inner else file


def _is_beside(file: Path, name: str, home: Path) -> bool:
    """Return whether a module's file counts; libraries may lie below a project's folder."""
    is_library = _is_installed(file) or name.partition(".")[0] in sys.stdlib_module_names
    return file.is_relative_to(home) and (_is_installed(home) or not is_library)


def _is_installed(file: Path) -> bool:
    return bool(_INSTALLED & set(file.parts))


def _imported(tree: ast.Module, module: ModuleType) -> list[str]:
    """Return the names of the modules that a module may import."""
    names: list[str] = []
    package = (module.__package__ or "").split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _code(source: bytes) -> str:
    """Return the words of a file, equal in every version of Python, without what only describes."""
    words: list[str] = []
    line: list[tokenize.TokenInfo] = []
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type in _NO_CODE:
            continue
        line.append(token)
        if token.type == tokenize.NEWLINE:
            if [each.type for each in line if each.type not in _BLOCKS] != _DOCSTRING:
                words += map(_word, line)
            else:
                words += (_word(each) for each in line if each.type in _BLOCKS)
            line = []
    return "".join([*words, *map(_word, line)])


def _word(token: tokenize.TokenInfo) -> str:
    """Return a token's text; blocks and the ends of lines have marks instead of spaces."""
    if token.type in _BLOCKS:
        return _BLOCKS[token.type]
    if token.type == tokenize.NEWLINE:
        return "\n"
    return f"{token.string} " if token.type in (tokenize.NAME, tokenize.NUMBER) else token.string
