"""Decode clips and prepare them for the backbones: the work of a worker's decoding threads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from emo.extract.backbone import Backbone, Prepared
from emo.extract.decode.one_pass import load_segments
from emo.extract.decode.source import ClipSource, source_hash, source_of
from emo.extract.decode.sources.bodies import fetched
from emo.extract.job.request import Job, Request
from emo.extract.media import Media, Needs
from emo.extract.worker.decoding.cached_faces import CachedFaces
from emo.extract.worker.decoding.face_stage import StageClock
from emo.extract.worker.decoding.prefetch import PreparedUnit
from emo.extract.worker.decoding.units import WorkUnit, units_of
from emo.extract.worker.encode import prepare_one, reason_of
from emo.extract.worker.loaded_models import LoadedModels
from emo.extract.worker.meter import StageMeter
from emo.manifest import Clip
from emo.store.store import Store


class ClipPreparer:
    """Cuts the clips of a part into units, decodes them and prepares them for each backbone."""

    def __init__(self, job: Job, models: LoadedModels, meter: StageMeter) -> None:
        """Keep what the threads need.

        Args:
            job: root of the clips' paths, store and requests.
            models: backbones, their needs and the face detector.
            meter: counts the seconds of decoding and preparing.
        """
        self._job, self._models, self._meter = job, models, meter
        self._cached = CachedFaces(Store(job.store))  # threads read this instance of the store

    def units(
        self, clips: Sequence[Clip], todo: Mapping[str, frozenset[str]]
    ) -> Iterator[WorkUnit]:
        """Cut clips into units of decoding, each for the backbones that lack the clip.

        Args:
            clips: clips of a part, in plan order.
            todo: recipe name -> ids of the clips that it lacks.
        """
        for clip in clips:
            requests = [
                request for request in self._job.requests if clip.id in todo.get(request.name, ())
            ]
            source = self._source_of(clip)
            yield from units_of(clip, source, requests, self._models.stretch_seconds)

    def _source_of(self, clip: Clip) -> ClipSource:
        job = self._job
        return source_of(clip, job.root, job.clip_bytes, decodes_all=job.is_strict)

    def prepare(self, units: Sequence[WorkUnit]) -> list[PreparedUnit]:
        """Decode units of one file in one pass and prepare each; called in a thread.

        A file that cannot be decoded becomes the failure of its units.
        """
        hashes = [source_hash(unit.clip, self._job.root) for unit in units]
        needs = [self._models.needs[request.name] for request in units[0].requests]
        crops = [
            [self._cached_faces(unit, need, found) for need in needs]
            for unit, found in zip(units, hashes, strict=True)
        ]
        if len(units) > 1 and any(found is not None for row in crops for found in row):
            return [prepared for unit in units for prepared in self.prepare([unit])]
        needs = [need if c is None else replace(need, frames=None, faces=None)
                 for need, c in zip(needs, crops[0], strict=True)]  # fmt: skip
        found = []
        detect = self._models.detect
        clock, before = StageClock(detect), fetched()
        loaded = load_segments([unit.source for unit in units], needs, detect=detect)
        for unit, views, known, faces in zip(units, loaded, hashes, crops, strict=True):
            seconds = clock.decoded()
            prepared = {
                request.name: self._prepared(request, media, own)
                for request, media, own in zip(unit.requests, views, faces, strict=True)
            }
            seconds["prepare"] = clock.lap()
            for stage in ("decode", "prepare"):
                self._meter.add(stage, seconds[stage], unit.is_last)
            after = fetched()
            since, before = (after[0] - before[0], after[1] - before[1]), after
            found.append(PreparedUnit(unit, known, prepared, seconds, since))
        return found

    def _prepared(
        self, request: Request, media: Media | Exception, stored: Media | None
    ) -> Prepared | str:
        """Prepare a decoded unit for one backbone, or return the reason why that failed.

        Args:
            request: the backbone.
            media: what the backbone gets, or the error of decoding it.
            stored: crops of an earlier job, with their notes, to use instead of decoded ones.
        """
        if isinstance(media, Exception):  # one bad file must not end the job
            return reason_of(media)
        backbone = self._models.backbones[request.name]
        if too_many := too_many_tokens(request, backbone, media, self._job.clip_bytes):
            return too_many
        if stored is not None:
            notes, faults = {**media.notes, **stored.notes}, (*media.faults, *stored.faults)
            media = replace(media, faces=stored.faces, notes=notes, faults=faults)
        return prepare_one(
            self._models.backbones[request.name], media, is_strict=self._job.is_strict
        )

    def _cached_faces(self, unit: WorkUnit, need: Needs, source: str) -> Media | None:
        """Return a clip's face crops that an earlier job stored; only whole clips have stored
        crops."""
        is_whole = unit.source == self._source_of(unit.clip)
        return self._cached.get(need, unit.clip.id, source) if is_whole else None


def too_many_tokens(
    request: Request, backbone: Backbone, media: Media, most_bytes: int
) -> str | None:
    """Return why the tokens of a clip's sound are not computed: too many; None: they are.

    Options such as ``hop_seconds=1e-5`` may come from somebody else's run.
    """
    if media.samples is None or not media.sample_rate:
        return None
    seconds = media.samples.shape[-1] / media.sample_rate
    try:
        tokens = backbone.tokens(backbone.options, seconds)
    except Exception:  # a forecast that a backbone cannot make ends no clip
        return None
    streams = request.recipe.streams
    count = sum(4 * tokens.get(name, 0) * spec.dim for name, spec in streams.items())
    if count <= most_bytes:
        return None
    return (
        f"its tokens would take {count / (1 << 30):.3g} GiB; at most {most_bytes / (1 << 30):.3g} "
        "are computed: choose options that make fewer or smaller tokens, cut the clip "
        "(start_seconds, end_seconds), or allow more with --clip-memory"
    )
