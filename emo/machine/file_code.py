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
_NOT_THEIRS = {"emo", *sys.stdlib_module_names}
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


def warn_if_edited(what: str, mend: str, was: object, now: object) -> None:
    """Warn, once in a process, if two hashes of :func:`code_files_hash` differ.

    Args:
        what: whose code was edited since when.
        mend: what follows, and what to do.
        was: the hash then; None or of another kind: unknown, which is no difference.
        now: the hash now.
    """
    if was != now and all(
        isinstance(each, str) and each.startswith(FILES_MARK) for each in (was, now)
    ):
        warnings.warn(f"{what} (comments do not count). {mend}", EditedCodeWarning, stacklevel=1)


def _files(module: ModuleType) -> dict[str, str]:
    """Return module name -> its code without docstrings, with the files beside it.

    They are found by their names, not by what happens to be imported at the moment.
    """
    found: dict[str, str] = {}
    root, package = _root(module), module.__name__.partition(".")[0]
    pending = [(module.__name__, Path(getattr(module, "__file__", None) or ""))]
    while pending and len(found) < MOST_FILES:
        name, file = pending.pop()
        if name in found:
            continue
        try:
            source = file.read_bytes()
            tree, found[name] = ast.parse(source), _code(source)
        except (OSError, SyntaxError, ValueError):  # it was removed, or is no source
            continue
        for other in _imported(tree, name, is_package=file.name == "__init__.py"):
            is_ours = not _is_installed(root) or other.partition(".")[0] == package
            if is_ours and other.partition(".")[0] not in _NOT_THEIRS:
                pending += [(other, path) for path in _paths(root, other) if path.is_file()]
    return found


def _root(module: ModuleType) -> Path:
    """Return the folder in which Python found a module's outermost package."""
    file = Path(getattr(module, "__file__", None) or "")
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    return file.parents[depth] if len(file.parents) > depth else file.parent


def _paths(root: Path, name: str) -> list[Path]:
    """Return the files that may be a module."""
    path = root.joinpath(*name.split("."))
    return [path.with_name(f"{path.name}.py"), path / "__init__.py"]


def _is_installed(folder: Path) -> bool:
    return bool(_INSTALLED & set(folder.parts))


def _imported(tree: ast.Module, name: str, *, is_package: bool) -> list[str]:
    """Return the names of the modules that a module may import."""
    names: list[str] = []
    package = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")]
    return [each for each in names if each]


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
