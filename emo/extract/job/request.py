"""A job: which backbones run, with which options, and to which store they write."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from emo import plugins
from emo.errors import EmoError, OptionError, PluginError
from emo.extract.backbone import Backbone, recipe_of
from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.decode.limits import NO_LIMITS, MediaLimits
from emo.extract.job.document_options import recipe_of_document
from emo.extract.models.named_models import NAMED_MODELS, resolved
from emo.machine.untrusted.documents import shortened
from emo.manifest import Manifest
from emo.store.backend.location import Location
from emo.store.recipe import Recipe


class JobError(EmoError):
    """A job folder is missing, damaged or made by another version of emo."""


@dataclass(frozen=True)
class Request:
    """One requested backbone; its tokens are written to the recipe ``name`` of the store."""

    name: str
    """Name of the recipe, a sub-folder of the store."""
    plugin: str
    """Name of the backbone: a file of ``emo/extract/backbones/``, or ``module:Class``."""
    options: dict[str, Any]
    """Options of the backbone as JSON values, including defaults."""
    recipe: Recipe
    """Recipe of the tokens: streams, options and weights when the job was planned."""
    planned_by: str = field(default="", compare=False)
    """Version of emo that wrote the job folder; empty: this one, or the folder does not say."""

    def load(self, device: str) -> Backbone:
        """Load the backbone on ``device``.

        Raises:
            OptionError: this machine's weights or version would make other numbers than planned.
        """
        kind = plugins.load(
            plugins.BACKBONES,
            self.plugin,
            Backbone,  # type: ignore[type-abstract]
            document=f"the recipe {self.name!r}",
        )
        options, now = recipe_of_document(
            kind,
            self.options,
            f"recipe {self.name!r}: {self.plugin} does not take the job's options, plan the job "
            "again with `emo extract`",
        )
        if words := self.recipe.other_version(now):
            planner = f"emo {self.planned_by}" if self.planned_by else "the emo that planned it"
            maker = "emo"
            if self.recipe.is_own_code:
                planner, maker = "another version of its file", "file"
            raise OptionError(
                f"recipe {self.name!r}: the job was planned by {planner} for tokens {words}. Do "
                f"the rest with that {maker}, or extract the clips again with `emo extract` and "
                "--as NAME, into a recipe of their own."
            )
        if differences := self.recipe.differences(now):
            raise OptionError(
                f"recipe {self.name!r}: this machine's {self.plugin} would make other numbers than "
                f"planned: {'; '.join(differences)}. Use the same weights and version everywhere."
            )
        self.recipe.warn_if_edited(self.recipe.facts.get("code"), now.facts.get("code"), self.name)
        return kind.load(options, device=device)


@dataclass(frozen=True)
class PartFiles:
    """What a job makes that does not extract: a file for each part, such as predictions."""

    maker: str
    """What makes the files, see ``MAKERS`` in emo/extract/worker/open_worker.py."""
    folder: Location
    """Folder of the files. A part is done when the file that its plan names is there."""
    classes: tuple[str, ...]
    """Classes ``module:Class`` that the workers load."""
    options: Mapping[str, Any]
    """What the maker needs besides the clips, as JSON values."""


@dataclass(frozen=True)
class Job:
    """A job: the backbones, the store, the device and the limits that all its workers use."""

    root: Path
    """Folder that the clips' paths are relative to."""
    store: Location
    """Location of the store that the job writes to; of predictions, their folder."""
    requests: tuple[Request, ...]
    """Backbones of the job, each with its options; none if it makes files."""
    device: str = "cpu"
    """Device of the models: ``cpu``, ``cuda``, ``cuda:0`` or ``auto``."""
    batch_clips: int | None = None
    """Clips handed to ``encode`` together; None: 16, on a GPU 64, for texts alone 256."""
    batch_size: int | None = None
    """Rows (frames, windows or texts) in one forward pass; None: the backbone's default, on a GPU
    eight times as many. Halved while the device's memory is too small."""
    threads: int = 1
    """Number of threads in a worker that decode and prepare, one clip each."""
    is_strict: bool = False
    """Whether a clip fails whose media are damaged or cut (``--strict-media``). False: what can be
    used is used, and noted beside the tokens."""
    clip_bytes: int = MOST_CLIP_BYTES
    """Bytes of decoded pictures and sound that one clip may hold at once; a larger one fails
    (``--clip-memory``)."""
    hosts: tuple[str, ...] = ()
    """Hosts from which media may be read by https (``--allow-host``)."""
    files: PartFiles | None = None
    """The files that the job makes; None: it extracts tokens."""
    limits: MediaLimits = NO_LIMITS
    """Limits of media that the user set (``--max-bytes`` and others)."""


def requests_from_words(
    words: Sequence[str],
    options: Sequence[str] = (),
    *,
    name: str | None = None,
    shared: Mapping[str, str] = {},
    manifest: Manifest | None = None,
) -> tuple[Request, ...]:
    """Turn the command line's ``--backbone`` and ``-o`` words into requests.

    Args:
        words: ``classic``, a short name such as ``wavlm-base`` (see
            :mod:`emo.extract.models.named_models`), ``hf:wavlm`` (plugin ``hf``, recipe ``wavlm``),
            ``module:Class`` or ``module:Class:recipe``.
        options: ``name=value`` for a single backbone, ``recipe.name=value`` in general.
        name: name of the recipe of a single backbone (``--as``).
        shared: options for every backbone that has them (``--dtype``, ``--faces``).
        manifest: for options that depend on the clips; None: these stay unset.

    Raises:
        PluginError: a backbone is unknown.
        OptionError: an option is unknown, or a recipe name is used twice.
    """
    named, pairs = _named_backbones(words, options, name)
    for key, value in shared.items():
        having = [recipe for plugin, recipe in named if key in _option_names(plugin)]
        if not having:
            raise OptionError(f"--{key}: no backbone of {', '.join(pairs)} has such an option")
        for owner in having:
            pairs[owner].setdefault(key, value)
    return tuple(make_request(plugin, recipe, pairs[recipe], manifest) for plugin, recipe in named)


def backbones_from_words(
    words: Sequence[str], options: Sequence[str] = ()
) -> dict[str, tuple[type[Backbone], Any]]:
    """Return the class and the options of each backbone, without looking for any weights.

    Args:
        words: as for :func:`requests_from_words`.
        options: ``name=value`` for a single backbone, ``recipe.name=value`` in general.

    Returns:
        Name of the recipe -> class of the backbone, and the instance of its ``Options``.

    Raises:
        PluginError: a backbone is unknown.
        OptionError: an option is unknown, or a recipe name is used twice.
    """
    named, pairs = _named_backbones(words, options, None)
    found: dict[str, tuple[type[Backbone], Any]] = {}
    for plugin, name in named:
        kind = plugins.load(plugins.BACKBONES, plugin, Backbone)  # type: ignore[type-abstract]
        found[name] = (kind, plugins.parse_options(kind.Options, pairs[name], name))
    return found


def _named_backbones(
    words: Sequence[str], options: Sequence[str], name: str | None
) -> tuple[list[tuple[str, str]], dict[str, dict[str, str]]]:
    """Return plugin and recipe name of each backbone, and by recipe the options as text."""
    named = [_plugin_and_name(word) for word in words]
    if name is not None:
        if len(named) != 1:
            raise OptionError(
                f"--as names the recipe of the only backbone; with {len(named)} write "
                "--backbone PLUGIN:NAME for each"
            )
        named = [(named[0][0], name)]
    names = [recipe_name for _, recipe_name in named]
    if len(set(names)) != len(names):
        raise OptionError(
            f"two backbones would write the recipe {_first_repeated(names)!r}; give them different "
            "names with --backbone PLUGIN:NAME"
        )
    for recipe_name in names:
        _check_name(recipe_name)
    pairs = plugins.split_options(options, names)
    for k, (plugin, recipe_name) in enumerate(named):
        _check_backbone_name(plugin)
        plugin, own = resolved(plugin)
        named[k] = (plugin, recipe_name)
        pairs[recipe_name] = own | pairs[recipe_name]
    return named, pairs


def _option_names(plugin: str) -> set[str]:
    kind = plugins.load(plugins.BACKBONES, plugin, Backbone)  # type: ignore[type-abstract]
    return {field.name for field in fields(kind.Options)}


def make_request(
    plugin: str, name: str, pairs: Mapping[str, str], manifest: Manifest | None = None
) -> Request:
    """Make the request for one backbone.

    Args:
        plugin: name of the backbone.
        name: name of the recipe.
        pairs: option name -> value as text.
        manifest: for options that depend on the clips; None: these stay unset.

    Raises:
        PluginError: there is no such backbone.
        OptionError: an option is wrong, or the recipe names another backbone.
    """
    kind = plugins.load(plugins.BACKBONES, plugin, Backbone)  # type: ignore[type-abstract]
    options: Any = plugins.parse_options(kind.Options, pairs, name)
    if manifest is not None:
        options = kind.fill(options, manifest)
    try:
        recipe = recipe_of(kind, options)
    except (ValueError, ArithmeticError, MemoryError) as error:  # a number without a bound
        raise OptionError(f"{name}: {shortened(str(error))}") from error
    _check_backbone(plugin, kind, recipe)
    return Request(name, plugin, asdict(options), recipe)


def _check_backbone(plugin: str, kind: type[Backbone], recipe: Recipe) -> None:
    """Check that the recipe names the backbone, by which `emo predict` loads it again.

    Raises:
        OptionError: under the name in the recipe there is another class, or none.
    """
    if recipe.backbone == plugin:
        return
    try:
        if plugins.load(plugins.BACKBONES, recipe.backbone, Backbone) is kind:  # type: ignore[type-abstract]
            return
    except PluginError:
        pass
    raise OptionError(
        f"backbone {plugin!r}: its recipe names the backbone {recipe.backbone!r}, which is not "
        f"this class, so `emo predict` could not load it again; expected Recipe({plugin!r}, …)"
    )


def _plugin_and_name(word: str) -> tuple[str, str]:
    """Split a word of ``--backbone`` into plugin and recipe name.

    >>> _plugin_and_name("hf:wavlm"), _plugin_and_name("my.module:Level")
    (('hf', 'wavlm'), ('my.module:Level', 'level'))
    >>> _plugin_and_name("my.module:Level:loud")
    ('my.module:Level', 'loud')
    """
    before, colon, after = word.partition(":")
    if not colon:
        return word, word
    if before in plugins.available(plugins.BACKBONES) or before in NAMED_MODELS:
        return before, after
    class_name, colon, recipe_name = after.partition(":")
    return f"{before}:{class_name}", recipe_name if colon else class_name.lower()


def _check_backbone_name(name: str) -> None:
    """Check that a name is that of a backbone or a short name of a model.

    Raises:
        PluginError: there is none; the nearest names of both kinds are offered.
    """
    known = plugins.available(plugins.BACKBONES)
    if ":" not in name and name not in known and name not in NAMED_MODELS:
        raise PluginError(plugins.unknown("backbone", name, [*known, *NAMED_MODELS]))


def _check_name(name: str) -> None:
    if (
        not name
        or not all(letter.isalnum() or letter in "-_." for letter in name)
        or name[0] == "."
    ):
        raise OptionError(f"recipe name {name!r}: expected letters, digits, '-', '_' and '.' only")


def _first_repeated(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
