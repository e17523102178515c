"""`emo list`: every backbone, head and executor, and what is missing for those that cannot load."""

import dataclasses
from collections.abc import Callable

from emo import plugins
from emo.errors import PluginError
from emo.table import format_table


def plugin_table(what: str) -> str:
    """The table for ``backbones``, ``heads`` or ``executors``."""
    package, contract, row = _KINDS[what]()
    rows: list[dict[str, object]] = []
    for name in plugins.available(package):
        try:
            rows.append({"name": name, **row(plugins.load(package, name, contract))})
        except PluginError as error:
            rows.append(
                {"name": name, **dict.fromkeys(rows[0] if rows else {}), "what it is": str(error)}
            )
    names = list(dict.fromkeys(key for line in rows for key in line))
    return format_table([{key: line.get(key) for key in names} for line in rows])


def _backbones() -> tuple[str, type, Callable[[type], dict[str, object]]]:
    from emo.extract.backbone import Backbone
    from emo.extract.job import BACKBONES

    def row(kind: type[Backbone]) -> dict[str, object]:
        options = kind.Options()
        needs, recipe = kind.needs(options), kind.recipe(options)
        wanted = {"video": needs.frames, "audio": needs.audio, "text": needs.text}
        return {
            "needs": ", ".join(modality for modality, is_needed in wanted.items() if is_needed),
            "streams": ", ".join(f"{name} (T, {s.dim})" for name, s in recipe.streams.items()),
            "options": _options(kind.Options),
            "what it is": _first_sentence(kind),
        }

    return BACKBONES, Backbone, row


def _heads() -> tuple[str, type, Callable[[type], dict[str, object]]]:
    from emo.heads.head import Head

    def row(kind: type[Head]) -> dict[str, object]:
        return {"options": _options(kind.Options), "what it is": _first_sentence(kind)}

    return "emo.heads.library", Head, row


def _executors() -> tuple[str, type, Callable[[type], dict[str, object]]]:
    from emo.extract.executor import Executor

    return "emo.extract.executors", Executor, lambda kind: {"what it is": _first_sentence(kind)}


_KINDS = {"backbones": _backbones, "heads": _heads, "executors": _executors}


def _options(options: type) -> str:
    fields = dataclasses.fields(options)
    return " ".join(f"{field.name}={field.default}" for field in fields) or "–"


def _first_sentence(kind: type) -> str:
    paragraph = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")
