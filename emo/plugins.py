"""Find and load plugins (backbones, heads, executors, formats, data sets …); parse their options.

A plugin is one file in its package's folder, or in a sub-folder of it, and is known by its file
name alone; it holds one public subclass of the contract. ``package.module:Class`` loads a class
from anywhere on the Python path instead.
Each plugin declares its options as a frozen dataclass called ``Options``; this file builds it from
the command line's ``name=value``.

Importing ``module:Class`` runs code. The user may name any; a document (``run.json``,
``recipe.json``, ``job.json``), which somebody else may have written, only what the user has named
in the same call, or anything with ``--allow-code``.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import math
import traceback
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import emo
from emo.errors import OptionError, PluginError
from emo.machine.file_code import code_files_hash as code_files_hash
from emo.machine.libraries import missing_library
from emo.machine.session_code import code_hash as code_hash
from emo.machine.session_code import is_importable as is_importable

ANNOTATIONS = "emo.manifest.annotations.library"
"""Package of the formats of annotations that `emo manifest annotations` reads."""
BACKBONES = "emo.extract.backbones"
"""Package of the backbones that come with `emo`; each file is one plugin."""
DATASETS = "emo.datasets.library"
"""Package of the data sets whose downloads `emo dataset` knows."""
EXECUTORS = "emo.extract.executors"
"""Package of the executors, which run the workers of a job."""
FORMATS = "emo.store.interop"
"""Package of the formats that `emo store import` and `emo store export` know."""
HEADS = "emo.heads.library"
"""Package of the heads that `emo fit-head` can train."""
TRACKERS = "emo.report.trackers.library"
"""Package of the trackers of experiments that `emo log` writes for."""
_T = TypeVar("_T")
_V = TypeVar("_V")
SHOWN_NAMES = 20
"""Most names that an error message lists."""
ANY_CODE = "*"
"""What :func:`trust` takes for every name, as ``--allow-code`` does."""
_trusted: set[str] = set()
"""Names ``module:Class`` that the user of this process has given."""
_files: dict[str, str] = {}
"""File of a module from elsewhere -> the name ``module:Class`` that it was loaded by."""
_lent: dict[str, type] = {}
"""Name -> class that the user has handed over in Python, see :func:`lend`."""


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """Empty ``Options``, for a plugin without options."""


def available(package: str) -> list[str]:
    """Return the sorted names of all plugins in ``package``, without importing them.

    Args:
        package: dotted name of the plugin folder, such as ``emo.heads.library``.
    """
    return sorted(plugin_files(package))


def plugin_files(package: str) -> dict[str, Path]:
    """Return the file of each plugin in ``package`` and in its sub-folders, without importing them.

    Of two files of one name, that in the folder itself comes before one in a sub-folder, and an
    earlier entry of ``emo.__path__`` before a later one.

    Args:
        package: dotted name of the plugin folder, such as ``emo.heads.library``.
    """
    found: dict[str, Path] = {}
    for root in emo.__path__:
        folder = Path(root, *package.split(".")[1:])
        for file in (*folder.glob("*.py"), *sorted(folder.glob("[!_]*/*.py"))):
            if not file.stem.startswith("_"):
                found.setdefault(file.stem, file)
    return found


def _module_name(package: str, file: Path) -> str:
    """Return the dotted name of a plugin's module, with its sub-folder if it is in one."""
    inner = file.parent.name
    names = (package, file.stem) if package.endswith(f".{inner}") else (package, inner, file.stem)
    return ".".join(names)


def trust(*names: str) -> None:
    """Let documents name these classes ``module:Class``; :data:`ANY_CODE` stands for all.

    A class that the user names in a command or in Python is trusted from then on.
    """
    _trusted.update(names)


def trusted() -> tuple[str, ...]:
    """Return the names that were given to :func:`trust`, for the workers of this process."""
    return tuple(sorted(_trusted))


def forget_trust() -> None:
    """Begin anew: no document may name code; each command does this when it starts."""
    _trusted.clear()


def expect_trust(name: str, document: object) -> None:
    """Check that the user agrees to run the code that a document names.

    Args:
        name: of a plugin; one that comes with emo is always allowed.
        document: the file that names it, for the error.

    Raises:
        PluginError: it is ``module:Class``, and the user did not name it.
    """
    if name.startswith("__main__:") and name not in _trusted:
        kind = name.partition(":")[2]
        opening = (
            f"there with emo.load_run(path, head={kind}), " if _is_run(document) else "there, "
        )
        raise PluginError(
            f"{document} names the class {kind} of a notebook or script, which cannot be imported "
            f"elsewhere. Use it {opening}or move the class into a file of its own, mine.py, and "
            f"name it 'mine:{kind}'"
        )
    if ":" in name and not _trusted & {name, ANY_CODE}:
        raise PluginError(
            f"{document} names code of its own: {name}. It is not run without your consent. If you "
            "know who wrote it, repeat the command with --allow-code (in Python: "
            f"emo.plugins.trust({name!r}))"
        )


def _is_run(document: object) -> bool:
    """Return whether a document is that of a run, whose class is a head."""
    return str(document).endswith("run.json")


def lend(kind: type, *, name: str = "") -> str:
    """Let a class that was handed over in Python be loaded by a name, and return that name.

    Classes of a notebook, of ``__main__`` and of functions cannot be imported by another process;
    :func:`is_importable` tells.

    Args:
        kind: the class.
        name: the name; empty: a plugin's own name, else ``module:Class``.
    """
    module = kind.__module__
    for package in (BACKBONES, DATASETS, EXECUTORS, FORMATS, HEADS, TRACKERS):
        own = plugin_files(package).get(module.rpartition(".")[2]) if not name else None
        if own and _module_name(package, own) == module:
            return own.stem
    name = name or f"{kind.__module__}:{kind.__qualname__}"
    _lent[name] = kind
    trust(name)
    return name


def load(
    package: str, name: str, contract: type[_T], *, document: object | None = None
) -> type[_T]:
    """Import a plugin and return its class.

    Args:
        package: dotted name of the plugin folder, such as ``emo.heads.library``.
        name: a file name in ``package`` without ``.py``, or ``module:Class`` from elsewhere.
        contract: the abstract class that the plugin must inherit from.
        document: the file that names the plugin; None: the user does, which counts as consent.

    Raises:
        PluginError: there is no such plugin (the nearest names are offered), its library is not
            installed, its file is no Python or fails when it is imported, the file does not hold
            exactly one subclass of ``contract``, the class lacks what the contract demands, or a
            document names code that the user did not name.
    """
    if document is not None:
        expect_trust(name, document)
    elif ":" in name:
        trust(name)
    if name in _lent:
        kind = _lent[name]
        if fault := _class_fault([kind], contract, kind.__qualname__):
            raise PluginError(f"{contract.__name__.lower()} {name!r} cannot be used: {fault}")
        return kind
    module_name, _, class_name = name.partition(":")
    if not class_name:
        files = plugin_files(package)
        if name not in files:
            said = unknown(contract.__name__.lower(), name, sorted(files))
            raise PluginError(f"{said}{_module_hint(name, contract)}")
        module_name = _module_name(package, files[name])
    what = f"{contract.__name__.lower()} {name!r} cannot be"
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        advice = _import_advice(module_name, error)
        raise PluginError(f"{what} imported: {advice}") from error
    except SyntaxError as error:
        raise PluginError(
            f"{what} imported: {error.filename}, line {error.lineno}: {error.msg}"
        ) from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"{what} imported: {_where(error)}: {error_text(error)}") from error
    if class_name and module.__file__:
        _files[module.__file__] = name
    found = [getattr(module, class_name, None)] if class_name else _leaves(module, contract)
    if fault := _class_fault(found, contract, class_name):
        raise PluginError(f"{what} used: {module.__file__ or module_name}: {fault}")
    return found[0]  # type: ignore[return-value]


def where_in_own_code(error: BaseException) -> str | None:
    """Return where an error arose in a class ``module:Class``; None: elsewhere.

    Returns:
        words such as ``mine:Mine, mine.py, line 12, in forward``.
    """
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in _files]
    if not frames:
        return None
    last = frames[-1]
    file = Path(last.filename).name
    return f"{_files[last.filename]}, {file}, line {last.lineno}, in {last.name}"


def error_text(error: BaseException) -> str:
    """Return an error of somebody's code in one line.

    >>> error_text(ZeroDivisionError("division by zero")), error_text(RuntimeError())
    ('division by zero (ZeroDivisionError)', 'RuntimeError')
    """
    text, kind = " ".join(str(error).split()), type(error).__name__
    return f"{text} ({kind})" if text else kind


def expected_class(contract: str, names: Sequence[str]) -> str:
    """Return the fault of a file that does not hold exactly one class of a contract.

    >>> expected_class("Head", []), expected_class("Head", ["A", "B"])[-13:]
    ('expected one public class that inherits from Head, found none', 'found A and B')
    """
    found = " and ".join(names) or "none"
    return f"expected one public class that inherits from {contract}, found {found}"


def parse_options(options: type[_T], pairs: Mapping[str, str], owner: str) -> _T:
    """Build an instance of the dataclass ``options`` from text values.

    Args:
        options: the dataclass.
        pairs: field name -> value as text.
        owner: name of the plugin, for error messages.

    Raises:
        OptionError: an unknown name (the nearest are offered), or a value of another type or
            outside ``metadata={"range": (low, high)}`` of its field, low <= value < high.
    """
    fields = {field.name: field for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(options)
    values = {}
    for name, text in current_names(options, pairs).items():
        if name not in fields:
            raise OptionError(f"{owner}: {unknown('option', name, fields)}")
        values[name] = value = _convert(text, hints[name], f"option {owner}.{name}")
        low, high = fields[name].metadata.get("range", (-math.inf, math.inf))
        if isinstance(value, int | float) and not low <= value < high:
            raise OptionError(
                f"option {owner}.{name}: expected from {low:g} to below {high:g}; got {text}"
            )
    try:
        return options(**values)
    except ValueError as error:
        raise OptionError(f"{owner}: {error}") from error


def option_word(value: object) -> str:
    """Return an option's value as it is typed behind ``-o name=``; :func:`parse_options` reads it.

    >>> option_word(None), option_word(8), option_word(True)
    ('none', '8', 'True')
    """
    return "none" if value is None else str(value)


def current_names(options: type, values: Mapping[str, _V]) -> dict[str, _V]:
    """Return ``values`` with names from earlier versions replaced by the current field names.

    A renamed field keeps its old name in its metadata: ``field(metadata={"was": "places"})``.
    """
    fields = dataclasses.fields(options)
    new = {f.metadata["was"]: f.name for f in fields if "was" in f.metadata}
    return {new.get(name, name): value for name, value in values.items()}


def split_options(options: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Group ``-o`` options by the plugin they belong to.

    >>> split_options(["classic.frames=8"], ["classic", "logmel"])
    {'classic': {'frames': '8'}, 'logmel': {}}
    >>> split_options(["frames=8"], ["classic"])
    {'classic': {'frames': '8'}}

    Args:
        options: texts of the form ``plugin.name=value``, or ``name=value`` if there is one plugin.
        names: the plugins.

    Raises:
        OptionError: an option without ``=``, with a plugin that is not among ``names``, or without
            a plugin although there are several.
    """
    pairs: dict[str, dict[str, str]] = {name: {} for name in names}
    for option in options:
        key, equals, value = option.partition("=")
        owner, dot, field = key.rpartition(".")
        if not equals:
            raise OptionError(f"-o {option}: expected name=value")
        if not dot:
            if len(names) != 1:
                raise OptionError(f"-o {option}: say which of {', '.join(names)}: NAME.{option}")
            owner = names[0]
        if owner not in pairs:
            raise OptionError(unknown("owner of option -o " + option, owner, names))
        pairs[owner][field] = value
    return pairs


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return an error message for a name that does not exist, with the nearest existing names."""
    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else "."
    shown = ", ".join(names[:SHOWN_NAMES]) + (" …" if len(names) > SHOWN_NAMES else "")
    return f"unknown {what} {name!r}{hint} Available: {shown or 'none'}."


def _module_hint(name: str, contract: type) -> str:
    """Return what to type if a name is that of a module on the Python path; else empty."""
    if not name.isidentifier() or importlib.util.find_spec(name) is None:
        return ""
    return f" To use a {contract.__name__} in the module {name}, name its class: {name}:CLASS."


def _import_advice(module_name: str, error: ImportError) -> str:
    """Return what is missing for an import, and what to do."""
    if error.name and f"{module_name}.".startswith(f"{error.name}."):
        return (
            f"there is no module {error.name!r} on the Python path; name the folder that holds "
            "it in PYTHONPATH, such as PYTHONPATH=. for this folder"
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        return missing_library(error, module_name)
    return f"{_where(error)}: {module_name}: {error}"


def _where(error: BaseException) -> str:
    """Return file and line where an import failed, without Python's own import machinery."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if not f.filename.startswith("<") and "importlib" not in f.filename]
    return f"{ours[-1].filename}, line {ours[-1].lineno}"


def _class_fault(found: Sequence[object], contract: type, class_name: str) -> str:
    """Return why what a module holds is no plugin of a contract; empty: it is one."""
    if class_name and not (inspect.isclass(found[0]) and issubclass(found[0], contract)):
        other = "there is no such class" if found[0] is None else "it is something else"
        return (
            f"expected {class_name} to be a class that inherits from {contract.__name__}, {other}"
        )
    if len(found) != 1:
        return expected_class(contract.__name__, [getattr(kind, "__name__", "") for kind in found])
    stated = [
        name for name, hint in inspect.get_annotations(contract).items() if "ClassVar" in str(hint)
    ]
    lacking = sorted(getattr(found[0], "__abstractmethods__", ()))
    lacking += [name for name in stated if not hasattr(found[0], name)]
    kind = getattr(found[0], "__name__", "")
    where = f"{contract.__module__} ({inspect.getsourcefile(contract)})"
    return f"class {kind} lacks {', '.join(lacking)}; the contract is {where}" if lacking else ""


def _leaves(module: types.ModuleType, contract: type) -> list[type]:
    """Return the public subclasses of ``contract`` that ``module`` itself defines."""
    members = (member for _, member in inspect.getmembers(module, inspect.isclass))
    return [
        member
        for member in members
        if issubclass(member, contract)
        and member.__module__ == module.__name__
        and not member.__name__.startswith("_")
    ]


def _convert(text: str, hint: Any, where: str) -> object:
    """Convert text to the type ``hint`` of an option; ``where`` names the option in errors."""
    alternatives = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if types.NoneType in alternatives and text.lower() in {"none", ""}:
        return None
    if typing.get_origin(hint) is typing.Literal:
        if text in typing.get_args(hint):
            return text
        raise OptionError(
            f"{where}: expected one of {', '.join(typing.get_args(hint))}; got {text!r}"
        )
    kind = next(kind for kind in alternatives if kind is not types.NoneType)
    if kind is bool:
        if text.lower() in {"true", "yes", "1", "false", "no", "0"}:
            return text.lower() in {"true", "yes", "1"}
    else:
        try:
            value: object = kind(text)
        except ValueError:
            pass
        else:
            if not isinstance(value, float) or math.isfinite(value):
                return value
            raise OptionError(f"{where}: expected a finite number; got {text!r}")
    raise OptionError(f"{where}: expected {kind.__name__}; got {text!r}")
