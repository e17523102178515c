"""Load a finished run, its head and its scaling, and predict with it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from emo import plugins
from emo.errors import FitError, StoreError
from emo.heads.data.dialogues import pairs_of
from emo.heads.data.scaling import Scaling, scaling_of_tensors
from emo.heads.data.speaker_scaling import SpeakerStatistics
from emo.heads.data.speakers import Speakers
from emo.heads.data.stream_scaling import scale_streams
from emo.heads.data.streams import StreamName, tokens_of_clips
from emo.heads.data.targets import Target, targets_of
from emo.heads.head import Batch, Head
from emo.heads.runs.bounded_head import bounded_head
from emo.heads.runs.document import WITH_HEAD, check_entries
from emo.heads.runs.files import RUN_FILE, WEIGHTS_FILE, read_document
from emo.heads.runs.in_bucket import near_run
from emo.heads.training.diverged import check_head_weights, rows_not_finite
from emo.heads.training.inference import outputs_of
from emo.machine.file_code import FILES_MARK, code_files_hash, warn_if_edited
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import UnfitFileError, open_regular
from emo.manifest import Clip
from emo.ragged import Ragged
from emo.store.recipe import Recipe
from emo.store.store import Store

MOST_WEIGHTS_BYTES = 2**33
"""Largest file of weights of a run that is read, 8 GiB."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run that `emo fit-head` wrote: a trained head and all it needs to predict.

    Example::

        run = Run.load(Path("runs/0001"))
        tokens, absent = stored_tokens(run, manifest.clips, Store(Path("features")))
        probabilities = run.predict(tokens)  # float32 (N, C), in the order of run.classes
    """

    path: Path
    """Folder of the run."""
    document: dict[str, Any]
    """Contents of ``run.json``."""
    recipes: dict[str, Recipe]
    """Recipes that made the tokens which the head was fitted on, by their name in the store."""
    scalings: dict[str, Scaling]
    """Scaling of each stream."""
    head: Head
    """The trained head."""
    targets: tuple[Target, ...]
    """Targets that the head predicts; the first is :attr:`target`."""

    @classmethod
    def load(cls, path: Path | str) -> "Run":
        """Read a run.

        Args:
            path: its folder, or its URL in a bucket, of which a copy is read.

        Raises:
            FitError: the folder is no run with a head, is damaged or of a newer version, has
                weights that are not finite, or was fitted with other code of the head's class.
            PluginError: its head is ``module:Class``, and the user did not name it in this call.
        """
        path = near_run(path)
        document = read_document(path)
        if "folds" in document:
            raise FitError(
                f"{path} is a cross-validation: it has a head for each fold and keeps none. "
                "Fit one on all clips with emo fit-head, without --cv."
            )
        check_entries(path / RUN_FILE, document, WITH_HEAD)
        tensors = _read_weights(path)
        name, options = document["head"]["name"], document["head"]["options"]
        kind = plugins.load(
            plugins.HEADS,
            name,
            Head,  # type: ignore[type-abstract]
            document=path / RUN_FILE,
        )
        check_code(path, document, kind)
        dims = {stream: spec["dim"] for stream, spec in document["streams"].items()}
        targets = targets_of(document)
        head = bounded_head(
            kind,
            dims,
            {target.name: target.width for target in targets},
            plugins.current_names(kind.Options, options),
            weights_bytes=sum(tensor.nbytes for tensor in tensors.values()),
            path=path / RUN_FILE,
        )
        weights = {
            kind.renamed_weights.get(key := name.removeprefix("head/"), key): tensor
            for name, tensor in tensors.items()
            if name.startswith("head/")
        }
        try:
            head.load_state_dict(weights)
            scalings = {stream: scaling_of_tensors(tensors, stream) for stream in dims}
            _check_scalings(scalings, dims)
            recipes = {
                recipe: _with_code(Recipe.from_json(value), document, recipe)
                for recipe, value in document["recipes"].items()
            }
            _check_recipes(recipes, dims)
        except (KeyError, ValueError, RuntimeError, StoreError) as error:
            raise FitError(
                f"{path}: damaged, or made by another version of its head: "
                f"{shortened(repr(error), 400)}. Fit it again with emo fit-head."
            ) from error
        check_head_weights(f"{path}: training of its head diverged", head)
        return cls(path, document, recipes, scalings, head, targets)

    @property
    def target(self) -> str:
        """Name of the first target."""
        return str(self.document["target"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the first target's classes, in the order of the probabilities."""
        return tuple(self.document["classes"])

    @property
    def streams(self) -> dict[str, dict[str, Any]]:
        """Streams that :meth:`predict` reads.

        They look like ``{"classic/audio": {"fingerprint": …, "dim": …}}``.
        """
        return dict(self.document["streams"])

    @cached_property
    def stream_names(self) -> dict[str, StreamName]:
        """The parts of the name of each stream in :attr:`streams`."""
        return {
            name: StreamName.of(name, self.recipes[name.partition("/")[0]].streams)
            for name in self.streams
        }

    @property
    def shared_streams(self) -> tuple[str, ...]:
        """Streams whose tokens are those of the clips named in a column, ``…@column``."""
        return tuple(name for name, parts in self.stream_names.items() if parts.column)

    @property
    def is_by_speaker(self) -> bool:
        """Whether a stream is scaled by speaker."""
        return any(scaling.by_speaker is not None for scaling in self.scalings.values())

    def speakers_of(self, streams: Mapping[str, Ragged], names: Sequence[str]) -> Speakers:
        """Return the speakers of clips, and the statistics by which streams are scaled.

        Args:
            streams: stored tokens by stream, numpy (ΣT, D), of N clips; further clips of the same
                speakers make the statistics surer, see :meth:`Speakers.select`.
            names: speaker of each clip; ``""``: not known.
        """
        statistics = {
            name: SpeakerStatistics.of(streams[name], names)
            for name, scaling in self.scalings.items()
            if scaling.by_speaker is not None
        }
        return Speakers(tuple(names), statistics, key="")

    def predict(self, streams: Mapping[str, Ragged], turns: np.ndarray | None = None) -> np.ndarray:
        """Return class probabilities of the first target, float32 (N, C).

        The arguments are those of :meth:`predict_all`.
        """
        return self.predict_all(streams, turns)[self.target]

    def predict_all(
        self,
        streams: Mapping[str, Ragged],
        turns: np.ndarray | None = None,
        speakers: Speakers | None = None,
    ) -> dict[str, np.ndarray]:
        """Predict all targets of the run.

        Args:
            streams: stored tokens by stream, numpy (ΣT, D), of the same N clips; a clip of length
                0 lacks the stream. Streams that the run does not read are ignored.
            turns: int64 (G, U) rows of the turns of each dialogue, see
                :func:`emo.heads.data.dialogues.turns_of`; None: each clip is its own dialogue.
            speakers: speakers of the N clips, see :meth:`speakers_of`; None: streams that are
                scaled by speaker are scaled with the numbers of train.

        Returns:
            By target: class probabilities, float32 (N, C); predictions of a number, float32
            (N, 1); or, for a pair target, class probabilities, float32 (P, C), a row for each pair
            of :func:`emo.heads.data.dialogues.pairs_of`.

        Raises:
            FitError: a stream is missing, or has another width or number of clips, or the head's
                outputs are not finite.
        """
        found = self.outputs(streams, turns, speakers)
        for name, table in found.items():
            if bad := rows_not_finite(table):
                raise FitError(
                    f"{self.path}: the head's outputs of {name} are not finite for {bad:,} of "
                    f"{len(table):,} rows: its training diverged, or these features are very large"
                )
        return found

    def outputs(
        self,
        streams: Mapping[str, Ragged],
        turns: np.ndarray | None = None,
        speakers: Speakers | None = None,
    ) -> dict[str, np.ndarray]:
        """Predict like :meth:`predict_all`, but return rows that are not finite, too.

        Raises:
            FitError: a stream is missing, or has another width or number of clips.
        """
        for name, spec in self.streams.items():
            if name not in streams:
                raise FitError(
                    f"{self.path}: the run reads stream {name!r}; "
                    f"got {', '.join(streams) or 'none'}"
                )
            if streams[name].width != spec["dim"]:
                raise FitError(
                    f"{self.path}: stream {name!r}: expected tokens of width {spec['dim']}, "
                    f"got {streams[name].width}"
                )
        counts = {name: len(streams[name]) for name in self.streams}
        if len(set(counts.values())) != 1:
            raise FitError(f"{self.path}: expected the same clips in every stream, got {counts}")
        if not next(iter(counts.values())):
            return {each.name: np.zeros((0, each.width), np.float32) for each in self.targets}
        turns = np.arange(next(iter(counts.values())))[:, None] if turns is None else turns
        batch = Batch(
            scale_streams(streams, self.scalings, speakers),
            turns=torch.from_numpy(turns),
            pairs=torch.from_numpy(pairs_of(turns)) if self.head.pair_targets else None,
        )
        try:
            return outputs_of(self.head, batch, self.targets)
        except (RuntimeError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError,
                AssertionError) as error:  # fmt: skip
            raise FitError(
                f"{self.path}: its head cannot compute with its options: "
                f"{shortened(repr(error))}. Fit it again with emo fit-head."
            ) from error


def check_code(path: Path, document: Mapping[str, Any], kind: type[Head]) -> None:
    """Check that the class of a head of one's own is as it was when the run was fitted.

    Runs of earlier versions do not say. If the file of a class was edited, that is warned of.

    Raises:
        FitError: a class without a file was edited since.
    """
    was, now = document["head"].get("code"), plugins.code_hash(kind)
    warn_if_edited(
        f"{path}: the code of its head {document['head']['name']} was edited since it was fitted",
        "If the edit changes what the head computes, its predictions are wrong: fit it again",
        was,
        code_files_hash(kind),
    )
    is_of_file = was is None or was.startswith(FILES_MARK)
    if not is_of_file and now is not None and was != now:
        raise FitError(
            f"{path}: the code of its head, {kind.__qualname__}, was edited since the run was "
            "fitted, so its weights do not belong to this class. Fit it again, or define the class "
            "as it was"
        )


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a run.

    Raises:
        FitError: the file is missing, damaged, too large, or no regular file.
    """
    file = path / WEIGHTS_FILE
    try:
        handle, size = open_regular(file, follow_links=True)
        os.close(handle)
        if size > MOST_WEIGHTS_BYTES:
            raise UnfitFileError(f"it has {size:,} bytes; at most {MOST_WEIGHTS_BYTES:,} are read")
        return load_file(file)
    except (OSError, ValueError, SafetensorError) as error:
        raise FitError(
            f"{path}: damaged: {WEIGHTS_FILE} cannot be read: {shortened(str(error))}. "
            "Fit it again with emo fit-head."
        ) from error


def _check_scalings(scalings: Mapping[str, Scaling], dims: Mapping[str, int]) -> None:
    """Raise ValueError if a scaling is not of its stream's width, which torch would stretch."""
    for stream, scaling in scalings.items():
        found = {"centre": scaling.centre, "scale": scaling.scale}
        if scaling.by_speaker is not None:
            found["speaker_mean"] = scaling.by_speaker.mean
            found["speaker_deviation"] = scaling.by_speaker.deviation
        for name, tensor in found.items():
            if tuple(tensor.shape) not in ((dims[stream],), ()):
                raise ValueError(
                    f"the {name} of {stream} has shape {tuple(tensor.shape)}, expected "
                    f"({dims[stream]},)"
                )


def _with_code(recipe: Recipe, document: Mapping[str, Any], name: str) -> Recipe:
    """Return a recipe with the hash of the code that made the tokens which the run was fitted on.

    Its own says what code the store was begun with.
    """
    made_with = document.get("made_with")
    versions = made_with.get(name) if isinstance(made_with, dict) else None
    code = versions.get("code") if isinstance(versions, dict) else None
    return replace(recipe, facts={**recipe.facts, "code": code}) if code else recipe


def _check_recipes(recipes: Mapping[str, Recipe], dims: Mapping[str, int]) -> None:
    """Raise ValueError if the run holds no recipe of a stream, or one of another width."""
    for stream, dim in dims.items():
        recipe = stream.partition("/")[0]
        known = recipes[recipe].streams if recipe in recipes else {}
        spec = known.get(StreamName.of(stream, known).stream)
        if spec is None or spec.dim != dim:
            found = "none" if spec is None else f"one of width {spec.dim}"
            raise ValueError(f"expected a recipe with {stream} of width {dim}, found {found}")


def stored_tokens(
    run: Run, clips: Sequence[Clip], store: Store
) -> tuple[dict[str, Ragged], dict[str, str]]:
    """Read the stored tokens of clips, and leave out clips that have none.

    For a clip without tokens a head would return only what it predicts without any input.

    Args:
        run: the run whose streams are read.
        clips: the clips; where the run's rows share tokens, they have the column with the ids.
        store: a store with the run's recipes.

    Returns:
        Tokens by stream, numpy (ΣT, D), of the clips that have any, in the order of ``clips``; and
        the reason for each clip that is left out, by id.
    """
    streams = {}
    for stream, parts in run.stream_names.items():
        read = partial(store.recipes[parts.recipe].read_present, parts.stream)
        streams[stream] = tokens_of_clips(parts, clips, read)
    is_present = np.any([tokens.lengths > 0 for tokens in streams.values()], axis=0)
    if is_present.all():
        return streams, {}
    kept = np.flatnonzero(is_present)
    without = [clips[row] for row in np.flatnonzero(~is_present).tolist()]
    return (
        {name: tokens.subset(kept) for name, tokens in streams.items()},
        {clip.id: _reason(run, absent_of(run, clip, store)) for clip in without},
    )


def absent_of(run: Run, clip: Clip, store: Store) -> dict[str, str]:
    """Return the reasons that the store keeps for streams of the run that a clip lacks.

    Args:
        run: the run whose streams are looked up.
        clip: the clip.
        store: a store with the run's recipes.
    """
    found = {}
    for stream, parts in run.stream_names.items():
        reasons = store.recipes[parts.recipe].absent.get(parts.clip_ids([clip])[0], {})
        if parts.stream in reasons:
            found[stream] = reasons[parts.stream]
    return found


def _reason(run: Run, absent: dict[str, str]) -> str:
    """Return one line on the streams that a clip lacks, given the reasons by stream."""
    reasons = [f"without {stream}: {reason}" for stream, reason in absent.items()]
    return "; ".join(reasons) or f"without {', '.join(run.streams)}"
