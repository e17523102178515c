"""`emo list WHAT NAME`: everything about one backbone, head, executor or other plugin."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from emo import plugins
from emo.commands.plugin_source import first_sentence
from emo.errors import EmoError
from emo.table import fit_lines, format_facts

Facts = list[tuple[str, str]]


def plugin_text(what: str, name: str) -> str:
    """Return what is known about one plugin, preset or metric; only this plugin is imported.

    Args:
        what: ``backbones``, ``heads``, ``executors``, ``formats``, ``datasets``, ``presets`` or
            ``metrics``.
        name: one of them, or ``module:Class`` of a plugin elsewhere.

    Raises:
        EmoError: there is none of that name, or its library is missing.
    """
    return "\n\n".join(part for part in _TEXTS[what](name) if part)


def _backbone(name: str) -> Iterable[str]:
    from emo.extract.backbone import Backbone
    from emo.extract.models.model import Model
    from emo.extract.models.weights import locate_weights

    kind: Any = plugins.load(plugins.BACKBONES, name, Backbone)
    options, weights = kind.Options(), "none"
    if issubclass(kind, Model):
        is_here = _tried(lambda: locate_weights(kind.weights(options))) is not None
        weights = "here" if is_here else f"not here: `emo weights where {name}` lists the files"
    needs, recipe = _tried(lambda: kind.needs(options)), _tried(lambda: kind.recipe(options))
    found = recipe.streams.items() if recipe else ()
    streams = ", ".join(f"{stream} (T, {spec.dim})" for stream, spec in found)
    yield _title(name, kind)
    yield format_facts(
        [
            ("needs", _modalities(needs) if needs else "known when its weights are here"),
            ("streams", streams or kind.card.streams),
            ("weights", weights),
            ("parameters", kind.card.parameters),
            ("licence", kind.card.licence),
            ("source", kind.card.source),
        ]
    )
    yield _options(kind.Options, "options, given as -o NAME=VALUE:")


def _modalities(needs: Any) -> str:
    wanted = {
        "video": needs.frames, "audio": needs.audio, "text": needs.text, "array": needs.array,
    }  # fmt: skip
    return ", ".join(name for name, is_needed in wanted.items() if is_needed) or "–"


def _tried(ask: Callable[[], Any]) -> Any:
    """Return the answer, or None where it needs weights or a manifest that are not here."""
    try:
        return ask()
    except EmoError:
        return None


def _head(name: str) -> Iterable[str]:
    from emo.heads.head import Head

    kind: Any = plugins.load(plugins.HEADS, name, Head)
    yield _title(name, kind)
    yield _options(kind.Options, "options, given as -o NAME=VALUE:")


def _executor(name: str) -> Iterable[str]:
    from emo.extract.executor import Executor

    kind = plugins.load(plugins.EXECUTORS, name, Executor)  # type: ignore[type-abstract]
    yield _title(name, kind)
    yield _options(kind.Options, "options of `emo extract` and `emo job resume`:", are_flags=True)


def _format(name: str) -> Iterable[str]:
    from emo.store.exchange.format import Format

    kind = plugins.load(plugins.FORMATS, name, Format)  # type: ignore[type-abstract]
    yield _title(name, kind)
    yield format_facts([("is a", f"{kind.extension} file" if kind.extension else "folder")])
    yield _options(kind.ReadOptions, "options of `emo store import`, given as -o NAME=VALUE:")
    yield _options(kind.WriteOptions, "options of `emo store export`, given as -o NAME=VALUE:")


def _dataset(name: str) -> Iterable[str]:
    from emo.datasets.dataset import Dataset

    kind: Any = plugins.load(plugins.DATASETS, name, Dataset)
    card, stated = kind.card, kind.stated(kind.Options())
    counts: Facts = [
        (what, ", ".join(f"{count:,} {part}" for part, count in parts.items()))
        for what, parts in stated.items()
    ]
    yield _title(name, kind)
    yield format_facts(
        [
            ("where", card.where),
            ("licence", card.licence),
            ("source", card.source),
            ("layout", card.layout),
            *counts,
        ]
    )
    yield _options(kind.Options, "options, given as -o NAME=VALUE:")
    faults = [fit_lines(f"- {fault}") for fault in card.faults]
    yield "\n".join(["known faults:", *faults]) if faults else ""


def _preset(name: str) -> Iterable[str]:
    from emo.heads.presets import find_preset

    preset = find_preset(name)
    head_options = " ".join(f"-o {key}={value}" for key, value in preset.head_options.items())
    options = ", ".join(f"{key} {value}" for key, value in preset.options.items())
    yield fit_lines(f"{name}: {preset.source}")
    yield format_facts(
        [
            ("head", f"{preset.head} {head_options}".rstrip()),
            ("streams", ", ".join(preset.streams) or "all in the store"),
            ("options", options or "none"),
            ("reported F1", preset.reported),
        ]
    )


def _metric(name: str) -> Iterable[str]:
    from emo.score.metrics import find_metric

    metric = find_metric(name)
    better = "higher is better" if metric.sign > 0 else "lower is better"
    yield fit_lines(f"{name}: {metric.what}")
    yield format_facts([("of", metric.kind), ("ranks by", f"{metric.headline}, {better}")])


def _title(name: str, kind: type) -> str:
    return fit_lines(f"{name}: {first_sentence(kind.__doc__ or '')}")


def _options(options: type, heading: str, *, are_flags: bool = False) -> str:
    """Return one line for each option: its name, or flag, its help and its default."""
    facts: Facts = []
    for field in dataclasses.fields(options):
        text = str(field.metadata.get("help", "")).rstrip(".")
        notes = [] if "default:" in text else [_shown(field.default)]
        if "search" in field.metadata:
            notes.append(f"--search tries {', '.join(map(str, field.metadata['search']))}")
        name = f"--{field.name.replace('_', '-')}" if are_flags else field.name
        facts.append((name, f"{text} [{'; '.join(notes)}]" if notes else text))
    return f"{heading}\n{format_facts(facts, indent='  ')}" if facts else ""


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "none"
    return {"": "empty", "None": "none", "True": "yes", "False": "no"}.get(
        str(default), str(default)
    )


_TEXTS: dict[str, Callable[[str], Iterable[str]]] = {
    "backbones": _backbone, "heads": _head, "executors": _executor, "formats": _format,
    "datasets": _dataset, "presets": _preset, "metrics": _metric,
}  # fmt: skip
