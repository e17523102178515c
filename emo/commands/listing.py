"""`emo list`: every backbone, head and executor, and what is missing for those that cannot load."""

import dataclasses
from collections.abc import Callable
from typing import Any

from emo import plugins
from emo.errors import EmoError, PluginError
from emo.table import format_table


def plugin_table(what: str) -> str:
    """The table for ``backbones``, ``heads``, ``executors``, ``formats`` and others."""
    if what in _TABLES:
        return _TABLES[what]()
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
    from emo.extract.backbone import BACKBONES, Backbone

    def row(kind: type[Backbone]) -> dict[str, object]:
        return {
            **_needs_and_streams(kind),
            "parameters": kind.card.parameters,
            "licence": kind.card.licence,
            "options": _options(kind.Options),
            "what it is": _first_sentence(kind),
        }

    return BACKBONES, Backbone, row


def _needs_and_streams(kind: Any) -> dict[str, object]:
    """What it reads and gives, and whether its weights are here, at its default options."""
    from emo.extract.models.model import Model
    from emo.extract.models.weights import locate_weights

    options, weights = kind.Options(), "none"
    if issubclass(kind, Model):
        weights = "here" if _tried(lambda: locate_weights(kind.weights(options))) else "not here"
    needs, recipe = _tried(lambda: kind.needs(options)), _tried(lambda: kind.recipe(options))
    wanted = (
        {"video": needs.frames, "audio": needs.audio, "text": needs.text, "array": needs.array}
        if needs
        else {}
    )
    streams = recipe.streams.items() if recipe else ()
    return {
        "needs": ", ".join(modality for modality, is_needed in wanted.items() if is_needed) or None,
        "streams": ", ".join(f"{name} (T, {s.dim})" for name, s in streams) or kind.card.streams,
        "weights": weights,
    }


def _tried(ask: Callable[[], Any]) -> Any:
    """None where the answer is in weights that are not here."""
    try:
        return ask()
    except EmoError:
        return None


def _heads() -> tuple[str, type, Callable[[type], dict[str, object]]]:
    from emo.heads.head import Head

    def row(kind: type[Head]) -> dict[str, object]:
        return {"options": _options(kind.Options), "what it is": _first_sentence(kind)}

    return "emo.heads.library", Head, row


def _presets() -> str:
    from emo.heads.presets import PRESETS

    rows: list[dict[str, object]] = [
        {
            "name": name,
            "head": preset.head,
            "streams": ", ".join(preset.streams) or "all",
            "reported F1": preset.reported,
            "where from": preset.source,
        }
        for name, preset in PRESETS.items()
    ]
    return format_table(rows)


def _datasets() -> str:
    """What there is, then the known faults of each."""
    from emo.datasets.dataset import Dataset
    from emo.datasets.make import LIBRARY

    rows: list[dict[str, object]] = []
    faults: list[dict[str, object]] = []
    for name in plugins.available(LIBRARY):
        kind: type[Dataset] = plugins.load(LIBRARY, name, Dataset)  # type: ignore[type-abstract]
        clips = sum(kind.stated(kind.Options()).get("clips", {}).values())
        rows.append(
            {
                "name": name,
                "clips": clips or None,
                "licence": kind.card.licence,
                "options": _options(kind.Options),
                "where": kind.card.where,
            }
        )
        faults += [{"name": name, "known fault": fault} for fault in kind.card.faults]
    return f"{format_table(rows)}\n\n{format_table(faults)}"


def _executors() -> tuple[str, type, Callable[[type], dict[str, object]]]:
    from emo.extract.executor import Executor

    return "emo.extract.executors", Executor, lambda kind: {"what it is": _first_sentence(kind)}


def _formats() -> tuple[str, type, Callable[[type], dict[str, object]]]:
    from emo.store.exchange.format import FORMATS, Format

    def row(kind: type[Format]) -> dict[str, object]:
        return {
            "is a": f"{kind.extension} file" if kind.extension else "folder",
            "import -o": _options(kind.ReadOptions),
            "export -o": _options(kind.WriteOptions),
            "what it is": _first_sentence(kind),
        }

    return FORMATS, Format, row


def _metrics() -> str:
    from emo.score.metrics import METRICS

    rows = [{"name": name, "of": m.kind, "what it is": m.what} for name, m in METRICS.items()]
    return format_table(rows)


_TABLES = {"presets": _presets, "metrics": _metrics, "datasets": _datasets}
_KINDS = {
    "backbones": _backbones, "heads": _heads, "executors": _executors, "formats": _formats,
}  # fmt: skip


def _options(options: type) -> str:
    fields = dataclasses.fields(options)
    return " ".join(f"{field.name}={field.default}" for field in fields) or "–"


def _first_sentence(kind: type) -> str:
    paragraph = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")
