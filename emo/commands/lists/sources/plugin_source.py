"""Facts about plugins, read from their source files: nothing is imported, so it takes milliseconds.

`emo list` shows one line for each plugin from here, and `emo extract --help` the options of the
executors. Only literals can be read: a field's default and metadata, a class attribute.
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import emo
from emo import plugins
from emo.commands.lists.sources.option_source import FaultySource, OptionSource, read_options


@dataclass(frozen=True)
class PluginSource:
    """The source of one plugin."""

    name: str
    file: str
    """Path of the file."""
    module: ast.Module
    """The file's code; empty if it is no Python."""
    plugin: ast.ClassDef | None
    """The plugin's class; None: the file holds no direct subclass of the contract."""
    fault: str = ""
    """Why the file cannot be read as Python; empty: it can."""
    class_fault: str = ""
    """Why the file is no plugin, as far as it can be seen without importing it; empty: it is one.
    """

    @property
    def summary(self) -> str:
        """First sentence of the plugin's docstring, or why the plugin cannot be used."""
        if self.fault:
            return f"It cannot be used: {self.fault}."
        if library := self.missing_library:
            return f"It cannot be imported here: the library {library} is not installed."
        if self.class_fault:
            return f"It cannot be used: {self.class_fault}."
        return self.sentence

    @property
    def sentence(self) -> str:
        """First sentence of the plugin's docstring."""
        text = first_sentence(ast.get_docstring(self.plugin or self.module) or "")
        return text.replace("``", "")

    @property
    def missing_library(self) -> str | None:
        """The first library that the file imports and that is not installed; None: none lacks."""
        for library in _libraries(self.module):
            if importlib.util.find_spec(library) is None:
                return library
        return None

    @property
    def bases(self) -> set[str]:
        """Names of the plugin's base classes."""
        return {ast.unparse(base) for base in self.plugin.bases} if self.plugin else set()

    def attribute(self, name: str, default: str = "") -> str:
        """Return a class attribute of the plugin that is a literal text."""
        value = self._value_of(name)
        return str(value.value) if isinstance(value, ast.Constant) else default

    def options(self) -> tuple[OptionSource, ...]:
        """Return the fields of the plugin's ``Options``, a dataclass in the same file.

        Raises:
            FaultySource: the file or a field is not as the contract says.
        """
        if self.fault:
            raise FaultySource(self.fault)
        if self.class_fault:
            raise FaultySource(self.class_fault)
        if self.plugin is None:
            raise FaultySource("expected a public class that inherits directly from the contract")
        return tuple(read_options(self.module, self.plugin, self._value_of("Options")))

    def method(self, name: str) -> ast.FunctionDef | None:
        """Return a method that the plugin's class defines itself."""
        nodes = self.plugin.body if self.plugin else []
        return next((n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == name), None)

    def _value_of(self, name: str) -> ast.expr | None:
        for node in self.plugin.body if self.plugin else []:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(ast.unparse(target) == name for target in targets):
                    return node.value
        return None


def read_plugins(package: str, contracts: set[str]) -> Iterator[PluginSource]:
    """Read the plugins of a package, sorted by name.

    Args:
        package: such as ``emo.heads.library``.
        contracts: names of the classes that a plugin may inherit from directly.
    """
    for name in plugins.available(package):
        yield read_plugin(package, name, contracts)


def read_plugin(package: str, name: str, contracts: set[str]) -> PluginSource:
    """Read the file of one plugin; see :func:`read_plugins`."""
    nowhere = Path(*package.split("."), f"{name}.py")
    path = plugins.plugin_files(package).get(name, nowhere)
    module, fault = ast.Module(body=[], type_ignores=[]), ""
    try:
        module = ast.parse(path.read_bytes())
    except SyntaxError as error:
        fault = f"line {error.lineno}: expected Python code, found: {error.msg}"
    except (OSError, ValueError) as error:
        fault = getattr(error, "strerror", None) or str(error)
    found = [
        node
        for node in module.body
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and contracts & {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    ]
    what = "" if fault else _class_fault(module, [node.name for node in found], min(contracts))
    return PluginSource(name, str(path), module, found[0] if found else None, fault, what)


def _class_fault(module: ast.Module, found: list[str], contract: str) -> str:
    """Return why a file is no plugin; empty: it is one, or only its import can tell.

    Args:
        module: the file's code.
        found: its public classes that inherit from the contract.
        contract: name of the contract.
    """
    for node in module.body:
        if isinstance(node, ast.Raise):
            raised = ast.unparse(node.exc) if node.exc else "an error"
            return f"line {node.lineno} raises {raised} when the file is imported"
    has_base = any(isinstance(node, ast.ClassDef) and node.bases for node in ast.walk(module))
    if len(found) > 1 or not (found or has_base):
        return plugins.expected_class(contract, found)
    return ""


def first_sentence(text: str) -> str:
    """Return the first sentence of a docstring, in one line.

    >>> first_sentence("Log-mel tokens (T, D), e.g. of\\nspeech. And more.")
    'Log-mel tokens (T, D), e.g. of speech.'
    """
    paragraph = " ".join(text.split("\n\n")[0].split())
    for end in range(len(paragraph)):
        rest = paragraph[end + 1 :]
        if paragraph[end] == "." and (not rest or (rest[0] == " " and rest[1:2].isupper())):
            return paragraph[: end + 1]
    return f"{paragraph}." if paragraph else ""


def _libraries(module: ast.Module) -> Iterator[str]:
    """Yield the packages that a file imports at its top, without Python's own and ours."""
    for node in module.body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            top = name.partition(".")[0]
            if top != emo.__name__ and top not in sys.stdlib_module_names:
                yield top
