"""A run and its backbones, loaded once: decoded clips in, predictions out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from emo.errors import EmoError, MediaError, StoreError
from emo.extract.backbone import Prepared
from emo.extract.decode.stretches import StretchResult, join_stretches
from emo.extract.job.request import Job
from emo.extract.media import Media
from emo.extract.models.model import Model
from emo.extract.worker.decoding.prefetch import size_of
from emo.extract.worker.decoding.prepare import too_many_tokens
from emo.extract.worker.devices import devices_of
from emo.extract.worker.encode import encode_batch, prepare_one
from emo.extract.worker.loaded_models import LoadedModels
from emo.extract.worker.meter import StageMeter
from emo.heads.runs.run import Run, absent_of, stored_tokens
from emo.manifest import Clip
from emo.predict.features import requests_of_run
from emo.predict.one_clip import Prediction, check_one_clip, prediction_of
from emo.predict.person import EVERYONE, speakers_and_notes
from emo.ragged import Ragged
from emo.store.part.writer import as_stored
from emo.store.recipe import StreamSpec
from emo.store.store import Store


@dataclass(frozen=True, eq=False)
class PreparedStretch:
    """A clip, or a stretch of a long one, ready for the models."""

    prepared: Mapping[str, Prepared | str]
    """Recipe name -> inputs of its backbone, or the reason why there are none."""
    size_bytes: int
    """Bytes of the inputs."""


@dataclass(frozen=True, eq=False)
class PreparedClip:
    """A clip that waits for the models."""

    clip: Clip
    stretches: Sequence[PreparedStretch]

    @property
    def size_bytes(self) -> int:
        """Bytes of the inputs of all stretches."""
        return sum(each.size_bytes for each in self.stretches)


class ResidentRun:
    """A run whose backbones stay loaded."""

    def __init__(
        self,
        path: Path,
        *,
        options: Sequence[str] = (),
        device: str = "auto",
        clip_bytes: int,
        is_together: bool = False,
    ) -> None:
        """Load the run and its backbones.

        Args:
            path: a folder from `emo fit-head`.
            options: folders of weights on this machine, as ``recipe.weights=DIR``.
            device: device of the models.
            clip_bytes: bytes of decoded pictures and sound that one clip may hold at once.
            is_together: whether networks encode clips of several requests in one pass.

        Raises:
            EmoError: the run cannot be read, needs more than one clip, or its recipes cannot be
                repeated on this machine.
        """
        self.run = Run.load(path)
        check_one_clip(self.run)
        self.requests = requests_of_run(self.run, options)
        self.is_together, self.clip_bytes = is_together, clip_bytes
        job = Job(path, path, self.requests, devices_of(device)[0], clip_bytes=clip_bytes)
        self.models = LoadedModels(job, StageMeter(1))
        self.models.load({each.name: None for each in self.requests}, ())

    @property
    def fingerprints(self) -> dict[str, str]:
        """Recipe name -> hash of the recipe that the run reads."""
        return {each.name: each.recipe.fingerprint for each in self.requests}

    def prepare(self, views: Mapping[str, Media | str]) -> PreparedStretch:
        """Prepare a decoded stretch for each backbone; one thread of torch, as in a job.

        Args:
            views: recipe name -> the decoded media, or why there are none.

        Raises:
            BrokenDevice: the device can do no more work.
        """
        prepared = {name: self._prepared(name, media) for name, media in views.items()}
        inputs = [each.inputs for each in prepared.values() if isinstance(each, Prepared)]
        return PreparedStretch(prepared, size_of(inputs))

    def _prepared(self, name: str, media: Media | str) -> Prepared | str:
        if isinstance(media, str):
            return media
        backbone = self.models.backbones[name]
        request = next(each for each in self.requests if each.name == name)
        return too_many_tokens(request, backbone, media, self.clip_bytes) or prepare_one(
            backbone, media
        )

    def predict(self, clips: Sequence[PreparedClip]) -> list[Prediction | EmoError]:
        """Encode and predict clips of several requests.

        Args:
            clips: the clips.

        Returns:
            For each clip its prediction, or why it has none.

        Raises:
            BrokenDevice: the device can do no more work.
        """
        found: list[dict[str, StretchResult]] = [{} for _ in clips]
        for name, backbone in self.models.backbones.items():
            is_mixed = self.is_together and isinstance(backbone, Model)
            batches = self._batches(clips, is_mixed=is_mixed)
            for number, result in enumerate(self._encoded(name, len(clips), batches)):
                found[number][name] = result
        return [self._predicted(clip.clip, one) for clip, one in zip(clips, found, strict=True)]

    def _encoded(
        self, name: str, clips: int, batches: Sequence[Sequence[tuple[int, PreparedStretch]]]
    ) -> list[StretchResult]:
        """Encode batches of stretches, each with the number of its clip, with one backbone."""
        results: list[list[StretchResult]] = [[] for _ in range(clips)]
        for whole in batches:
            batch = [(number, each) for number, each in whole if name in each.prepared]
            items = [each.prepared[name] for _, each in batch]
            usable = {
                index: item
                for index, item in enumerate(items)
                if isinstance(item, Prepared) and item.inputs
            }
            tokens = encode_batch(self.models.backbones[name], usable)
            for index, ((number, _), item) in enumerate(zip(batch, items, strict=True)):
                results[number].append(_result(item, tokens.get(index, {})))
        return [join_stretches(each or [StretchResult()]) for each in results]

    def _batches(
        self, clips: Sequence[PreparedClip], *, is_mixed: bool
    ) -> list[list[tuple[int, PreparedStretch]]]:
        """Cut the stretches of clips, each with the number of its clip, into batches.

        The last bits of a network's tokens depend on the other rows of its batch. So that a clip
        has those of `emo predict`, a batch holds stretches of one clip alone, the same ones as in
        a job, unless ``is_mixed``.
        """
        stretches = [(number, each) for number, clip in enumerate(clips) for each in clip.stretches]
        limits = self.models.limits(self.models.backbones)
        batches: list[list[tuple[int, PreparedStretch]]] = []
        for number, each in stretches:
            last = batches[-1] if batches else []
            size = sum(one.size_bytes for _, one in last) + each.size_bytes
            fits = last and len(last) < limits.clips and size <= limits.size_bytes
            if fits and (is_mixed or last[0][0] == number):
                last.append((number, each))
            else:
                batches.append([(number, each)])
        return batches

    def _predicted(self, clip: Clip, results: Mapping[str, StretchResult]) -> Prediction | EmoError:
        """Predict one clip from its tokens, as `emo predict` does from a store."""
        recipes = {
            each.name: _recipe_of_one(clip.id, each.recipe.streams, results[each.name])
            for each in self.requests
        }
        failures = [each.failure for each in recipes.values()]
        try:
            if all(failures):
                raise MediaError(failures[0])
            store = cast(Store, _StoreOfOne(recipes))
            streams, bare = stored_tokens(self.run, [clip], store)
            if clip.id in bare:
                raise MediaError(bare[clip.id])
            speakers, notes = speakers_and_notes(
                self.run, [clip], streams, person=EVERYONE, failures={}
            )
            tables = self.run.predict_all(streams, speakers=speakers and speakers.select([0]))
            absent = absent_of(self.run, clip, store)
        except EmoError as error:
            return error
        return prediction_of(self.run, clip.id, tables, absent, notes)


def _result(item: Prepared | str, tokens: dict[str, np.ndarray] | str) -> StretchResult:
    """Return the tokens of a stretch, or why it has none."""
    if isinstance(item, str):
        return StretchResult(failure=item)
    if isinstance(tokens, str):
        return StretchResult(failure=tokens)
    return StretchResult(tokens, None, item.absent, item.notes)


@dataclass(frozen=True, eq=False)
class _RecipeOfOne:
    """The tokens of one clip in one recipe, read like a recipe of a store."""

    tokens: Mapping[str, np.ndarray]
    absent: Mapping[str, Mapping[str, str]]
    widths: Mapping[str, Any]
    failure: str = ""

    def read_present(self, stream: str, ids: Sequence[str]) -> Ragged:
        """Return the tokens of the one clip, (T, D), length 0 if it lacks the stream."""
        values = self.tokens.get(stream, self.widths[stream])
        return Ragged(values, np.array([0, len(values)], np.int64))


@dataclass(frozen=True, eq=False)
class _StoreOfOne:
    recipes: Mapping[str, _RecipeOfOne]


def _recipe_of_one(
    clip_id: str, streams: Mapping[str, StreamSpec], result: StretchResult
) -> _RecipeOfOne:
    """Return what a store would hold of a clip in one recipe: its tokens in the stored dtype."""
    empty = {name: np.zeros((0, spec.dim), spec.dtype) for name, spec in streams.items()}
    reason = result.failure
    if not reason and not result.tokens:
        reason = "; ".join(f"{name}: {why}" for name, why in result.absent.items())
    if not reason:
        try:
            tokens = {
                name: as_stored(clip_id, name, result.tokens[name], spec)
                for name, spec in streams.items()
                if name in result.tokens
            }
        except StoreError as error:
            reason = str(error)
    if reason:
        return _RecipeOfOne({}, {}, empty, reason)
    lacking = [name for name in streams if name not in tokens]
    absent = {name: result.absent.get(name, "no reason given") for name in lacking}
    return _RecipeOfOne(tokens, {clip_id: absent}, empty)
