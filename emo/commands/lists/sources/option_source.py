"""Options of a plugin, read from the source of its ``Options`` dataclass without importing it.

The contract of a plugin whose options become flags, :mod:`emo.extract.executor`, says what can be
read; anything else is a :class:`FaultySource`, which names the field and what was expected.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

TYPES = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
"""Type that a flag can have -> types of its default. A list is :data:`LIST`."""
LIST = "tuple[str, ...]"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KEYWORDS = {"default", "metadata", "repr", "compare", "hash", "kw_only"}
_EXPECTED = f"int, float or str, each also with | None, bool or {LIST}"


class FaultySource(ValueError):
    """The source of a plugin's options cannot be read; the text says where and why."""


@dataclass(frozen=True)
class OptionSource:
    """One field of a plugin's ``Options``, as its source says."""

    name: str
    annotation: str
    """The type as written, such as ``int | None``."""
    default: Any
    help: str
    metavar: str | None
    """Word for the value in the help; None: by the type."""

    @property
    def kind(self) -> str:
        """The type without ``| None``, such as ``int``."""
        return self.annotation.removesuffix(" | None")

    @property
    def flag(self) -> str:
        """The option on the command line, such as ``--max-parallel``."""
        return "--" + self.name.replace("_", "-")


def read_options(
    module: ast.Module, plugin: ast.ClassDef, options: ast.expr | None
) -> Iterator[OptionSource]:
    """Yield an :class:`OptionSource` for each field of a plugin's ``Options``.

    Args:
        module: the plugin's file.
        plugin: the plugin's class.
        options: what the class attribute ``Options`` is set to; None: it is not set.

    Raises:
        FaultySource: a field, or the class, is not as the contract says.
    """
    node = _options_class(module, plugin, options)
    if node is None:
        return
    if node.bases:
        raise FaultySource(f"class {node.name}: expected no base class, its fields are not read")
    if not any("dataclass" in ast.unparse(each) for each in node.decorator_list):
        raise FaultySource(f"class {node.name}: expected a frozen dataclass")
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and "ClassVar" not in ast.unparse(field.annotation):
            yield _option(field)


def _options_class(
    module: ast.Module, plugin: ast.ClassDef, options: ast.expr | None
) -> ast.ClassDef | None:
    """Return the dataclass; None: the plugin has no options."""
    nested = [n for n in plugin.body if isinstance(n, ast.ClassDef) and n.name == "Options"]
    name = "NoOptions" if options is None else ast.unparse(options)
    if nested or name.rpartition(".")[2] == "NoOptions":
        return nested[0] if nested else None
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise FaultySource(
        f"{plugin.name}.Options: expected a dataclass in the same file, found {name}"
    )


def _option(field: ast.AnnAssign) -> OptionSource:
    """Read ``name: type = field(default=…, metadata={…})``, or ``name: type = literal``."""
    name, kind = ast.unparse(field.target), _annotation(field.annotation)
    if not _NAME.fullmatch(name):
        _refuse(name, "a name of small letters a to z, digits and _", None)
    if kind == "bool | None" or (kind.removesuffix(" | None") not in TYPES and kind != LIST):
        _refuse(name, f"one of the types {_EXPECTED}", kind)
    default, metadata = field.value, {}
    if isinstance(default, ast.Call) and ast.unparse(default.func).endswith("field"):
        words = {keyword.arg: keyword.value for keyword in default.keywords}
        if others := [str(word) for word in words if word not in _KEYWORDS]:
            _refuse(name, "field(default=…, metadata={…})", f"{', '.join(others)}=")
        default = words.get("default")
        metadata = _literal(name, "metadata that are", words.get("metadata", ast.Dict([], [])))
    if default is None:
        _refuse(name, "a default", "none")
    value = _literal(name, "a default that is", default)
    if not _fits(value, kind):
        _refuse(name, f"a default of type {kind}", ast.unparse(default))
    texts = [metadata.get(key) for key in ("help", "metavar")] if _is_dict(metadata) else [0]
    if not all(text is None or isinstance(text, str) for text in texts):
        _refuse(name, "metadata that are a dict of texts", repr(metadata))
    if value is True:
        _refuse(name, "the default False, as a flag can only say yes", "True")
    return OptionSource(name, kind, value, metadata.get("help") or "", metadata.get("metavar"))


def _annotation(node: ast.expr) -> str:
    """Return a type as written; a text, such as ``"int | None"``, without its quotes."""
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ast.unparse(node)  # type: ignore[attr-defined]


def _fits(value: object, kind: str) -> bool:
    if value is None:
        return kind.endswith(" | None")
    if kind == LIST:
        return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    kinds = TYPES[kind.removesuffix(" | None")]
    return isinstance(value, kinds) and (kind == "bool") == isinstance(value, bool)


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _literal(name: str, what: str, node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        _refuse(name, f"{what} written out (a literal)", ast.unparse(node))


def _refuse(name: str, expected: str, found: str | None) -> NoReturn:
    got = "" if found is None else f", found {found}"
    raise FaultySource(f"field {name}: expected {expected}{got}")
