"""Extract features from Python, as `emo extract` does."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from emo import plugins
from emo.api.clips import Clips, Manifest, clips_of
from emo.api.store import Store
from emo.errors import EmoError, OptionError, plural
from emo.extract.backbone import Backbone
from emo.extract.decode.limits import MediaLimits, set_limits
from emo.extract.job.request import Request, make_request
from emo.extract.models.named_models import resolved
from emo.extract.run import ExtractOptions, extract
from emo.store.backend.https import allow_hosts
from emo.store.backend.location import location

if TYPE_CHECKING:
    import pandas as pd

_MODELS = ("model", "weights")
"""Options that the second argument of :func:`backbone` may set, the first that there is."""


@dataclass(frozen=True)
class Requested:
    """A backbone with options, made by :func:`backbone`."""

    plugin: str
    """Name of the plugin, or ``module:Class``."""
    name: str
    """Name of the recipe in the store."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options that were given."""


OneOrMore = (
    str
    | Requested
    | Backbone
    | type[Backbone]
    | Sequence[str | Requested | Backbone | type[Backbone]]
)
"""What :func:`extract_features` takes as backbones."""


def backbone(
    plugin: "str | type[Backbone]",
    model: str | Path | None = None,
    *,
    name: str = "",
    **options: Any,
) -> Requested:
    """Choose a backbone and its options for :func:`extract_features`.

    Args:
        plugin: a name of `emo list backbones` or `emo list models`, ``module:Class``, or a class.
        model: hub id, folder or file of the weights: the backbone's option ``model``, or else
            ``weights``.
        name: name of the recipe in the store; empty: the plugin's.
        options: fields of the backbone's ``Options``, as ``emo list backbones NAME`` lists them.

    Raises:
        PluginError: there is no such backbone.
        OptionError: it has no such option, or none for weights.
    """
    given = plugin if isinstance(plugin, str) else plugins.lend(plugin)
    word, own = resolved(given)
    kind = plugins.load(plugins.BACKBONES, word, Backbone)  # type: ignore[type-abstract]
    known = [each.name for each in fields(kind.Options)]
    if model is not None:
        target = next((each for each in _MODELS if each in known), None)
        if target is None:
            raise OptionError(f"{word} has no weights: it takes {', '.join(known) or 'no option'}")
        options = {target: str(model), **options}
    for option in options:
        if option not in known:
            raise OptionError(f"{word}: {plugins.unknown('option', option, known)}")
    recipe = given if own else word.rpartition(":")[2].rpartition(".")[2].lower()
    return Requested(word, name or recipe, {**own, **options})


def extract_features(
    clips: "Clips | pd.DataFrame",
    out: str | Path,
    backbones: "OneOrMore" = ("classic",),
    *,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: str | Path | None = None,
    allow_host: Sequence[str] = (),
    workers: int | None = None,
    device: str = "auto",
    executor: str = "local",
    executor_options: Mapping[str, Any] = MappingProxyType({}),
    part_clips: int | None = None,
    batch_clips: int | None = None,
    batch_size: int | None = None,
    strict_media: bool = False,
    clip_memory: float = 2.0,
    max_bytes: float | None = None,
    max_seconds: float | None = None,
    max_pixels: float | None = None,
    timeout: float | None = None,
    retry_failed: bool = False,
    changed: Literal["stop", "redo", "keep"] = "stop",
    anyway: bool = False,
    allow_erased: bool = False,
    jobs: str | Path | None = None,
    progress: bool | None = None,
) -> Store:
    """Write the features of every clip into a store; clips that it already has are kept.

    Args:
        clips: a manifest, a DataFrame, or the path of a table.
        out: the store: a folder, or a URL such as ``s3://bucket/features``.
        backbones: one or several: names of `emo list backbones`, results of :func:`backbone`, or
            backbones of your own (a class or an instance).
        columns: columns of ``clips`` under other names, ``{"label": "Emotion"}``.
        root: folder of the media, or its URL; None: the manifest's.
        allow_host: hosts from which media and manifests may be read by https, from now on in this
            process.
        workers: processes; None: one for each GPU, or this one. A backbone of a notebook needs
            this process.
        device: ``auto``, ``cpu`` or ``cuda``.
        executor: where parts run, see `emo list executors`.
        executor_options: options of the executor by name.
        part_clips: clips that are committed together.
        batch_clips: clips that the models get together.
        batch_size: frames, windows or texts in one forward pass; None: as many as fit.
        strict_media: fail clips with damaged pictures or sound.
        clip_memory: most memory of one clip's decoded pictures and sound, GiB.
        max_bytes: most bytes of a media file; None: of https a quarter of the cache, else any.
        max_seconds: longest clip; None: any that fits.
        max_pixels: width times height times frames of a clip; None: any that fit.
        timeout: seconds to fetch a file by https, or for a request to a bucket; None: 300.
        retry_failed: try clips again that failed before.
        changed: what to do with clips whose row or file changed since.
        anyway: submit clips that a scheduler's queue has already.
        allow_erased: extract clips again that `emo store erase` removed.
        jobs: folder or bucket's name for the job folders of a store in a bucket.
        progress: whether to show a bar; None: in a terminal or a notebook.

    Returns:
        The store. Clips that failed are in its ``failures``; a warning counts them.

    Raises:
        EmoError: the command `emo extract` would end with this sentence.
    """
    allow_hosts(allow_host)
    set_limits(MediaLimits(max_bytes, max_seconds, max_pixels, timeout))
    manifest = clips_of(clips, columns, root)
    if isinstance(backbones, str | Requested | Backbone | type):
        backbones = [backbones]
    requests = tuple(_request(each, manifest) for each in backbones)
    _check_importable(requests, workers, executor)
    options = ExtractOptions(
        executor=executor, workers=workers, device=device, part_clips=part_clips,
        batch_clips=batch_clips, batch_size=batch_size, is_strict=strict_media,
        retry_failed=retry_failed, changed=changed, is_anyway=anyway,
        executor_options=dict(executor_options), jobs=None if jobs is None else location(jobs),
        clip_bytes=round(clip_memory * (1 << 30)), may_be_erased=allow_erased,
    )  # fmt: skip
    report = extract(manifest, str(out), requests, options, progress=progress)
    if report.job.lost:
        raise EmoError("; ".join(report.job.lost))
    failed = [each for found in report.failures.values() for each in found.items()]
    if failed:
        clip_id, reason = failed[0]
        warnings.warn(
            f"{plural(len(failed), 'clip')} failed, {clip_id} because of: {reason}. "
            "store.failures holds all reasons",
            stacklevel=2,
        )
    return Store(str(out))


def _request(wanted: "str | Requested | Backbone | type[Backbone]", manifest: Manifest) -> Request:
    """Return the request for one entry of ``backbones``."""
    if isinstance(wanted, str) or (isinstance(wanted, type) and issubclass(wanted, Backbone)):
        wanted = backbone(wanted)
    elif isinstance(wanted, Backbone):
        wanted = backbone(type(wanted), **asdict(wanted.options))
    if not isinstance(wanted, Requested):
        raise OptionError(f"expected names or backbones, got {type(wanted).__name__}")
    pairs = {name: plugins.option_word(value) for name, value in wanted.options.items()}
    return make_request(wanted.plugin, wanted.name, pairs, manifest)


def _check_importable(requests: Sequence[Request], workers: int | None, executor: str) -> None:
    """Check that other processes can import the backbones if there are any.

    Raises:
        OptionError: a class lives in this session alone, and other processes would need it.
    """
    for request in requests:
        kind = plugins.load(plugins.BACKBONES, request.plugin, Backbone)  # type: ignore[type-abstract]
        if not plugins.is_importable(kind) and (executor != "local" or (workers or 1) > 1):
            raise OptionError(
                f"backbone {request.plugin}: other processes cannot import a class of a notebook "
                "or of __main__. Use workers=1, or put the class into a file of its own, mine.py, "
                "and name it 'mine:Class'"
            )
