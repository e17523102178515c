"""The speakers of a fit's clips, columns that may name them, and what scaling by speaker reads."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emo.errors import FitError, listed, plural
from emo.heads.data.scaling import Scaling
from emo.heads.data.speaker_scaling import SpeakerStatistics
from emo.heads.data.streams import StreamSource
from emo.heads.options import FitOptions
from emo.manifest import Clip
from emo.manifest.spelling import usual
from emo.ragged import Ragged

BY_SPEAKER = "speaker"
"""Value of ``--scaling`` that requests scaling by speaker."""
FEW_CLIPS = 5
"""Number of clips below which a note counts a speaker as one of few clips."""


@dataclass(frozen=True, eq=False)
class Speakers:
    """All that scaling by speaker reads from the clips of a fit; no label is part of it."""

    names: tuple[str, ...]
    """Speaker of each of the N clips of the fit; ``""``: not known."""
    statistics: Mapping[str, SpeakerStatistics]
    """By stream that is scaled by speaker, the statistics of the speakers over all clips of the
    manifest."""
    key: str
    """Hash of the clips that the statistics were computed from and of their speakers."""

    def select(self, rows: Sequence[int] | np.ndarray) -> "Speakers":
        """Return the given clips in the given order; statistics stay those of all clips."""
        return replace(self, names=tuple(self.names[int(row)] for row in rows))

    def notes(self) -> list[str]:
        """Return what a reader of the scores must know."""
        return [
            f"{', '.join(self.statistics)}: scaled by speaker, with the clips of test too, but no "
            "label of them: the scores are transductive",
            *self.notes_on_clips(),
        ]

    def notes_on_clips(self) -> list[str]:
        """Return notes on speakers of few clips, and on clips without a speaker."""
        found = []
        for stream, own in self.statistics.items():
            few = [name for name, row in own.rows.items() if own.clips[row] < FEW_CLIPS]
            if few:
                have = "has" if len(few) == 1 else "have"
                found.append(
                    f"{stream}: {plural(len(few), 'speaker')} {have} fewer than {FEW_CLIPS} clips "
                    f"({listed(few)}): train's numbers have a large part in their scaling"
                )
        unknown = self.names.count("")
        if unknown:
            found.append(f"{plural(unknown, 'clip')} without speaker: scaled with train's numbers")
        return found


def speaker_streams(
    sources: Sequence[StreamSource], options: FitOptions, scalings: Mapping[str, Scaling]
) -> list[StreamSource]:
    """Return the streams that a fit scales by speaker.

    Args:
        sources: streams of the fit.
        options: options of the fit.
        scalings: scalings of some streams from the runs of ``--init``, which come first.
    """
    return [
        source
        for source in sources
        if (
            scalings[source.name].by_speaker is not None
            if source.name in scalings
            else options.scaling.get(source.name) == BY_SPEAKER
        )
    ]


def read_speakers(
    everyone: Sequence[Clip],
    clips: Sequence[Clip],
    tokens: Mapping[str, Ragged],
    sources: Sequence[StreamSource],
) -> Speakers:
    """Read the statistics of speakers over all clips of a manifest, labelled or not.

    A clip's label so has no part in how any other clip is scaled, not even by being missing.

    Args:
        everyone: all clips of the manifest.
        clips: the N clips of the fit.
        tokens: stored tokens of the N clips, by stream.
        sources: streams that are scaled by speaker, at least one.
    """
    names = speaker_names(everyone)
    of_clip = {clip.id: name for clip, name in zip(everyone, names, strict=True)}
    used = {clip.id for clip in clips}
    ids = [clip.id for clip in clips]
    others = [clip_id for clip_id, name in of_clip.items() if name and clip_id not in used]
    every = [of_clip[clip_id] for clip_id in [*ids, *others]]
    statistics = {
        source.name: SpeakerStatistics.of(_joined(tokens[source.name], source, others), every)
        for source in sources
    }
    key = hashlib.sha256(json.dumps(sorted(of_clip.items())).encode()).hexdigest()[:16]
    return Speakers(tuple(of_clip[clip_id] for clip_id in ids), statistics, key)


def _joined(tokens: Ragged, source: StreamSource, others: Sequence[str]) -> Ragged:
    """Return the tokens of the clips of a fit, then those of other clips."""
    if not others:
        return tokens
    more = source.read(others)
    offsets = np.concatenate([tokens.offsets, more.offsets[1:] + tokens.offsets[-1]])
    return Ragged(np.concatenate([tokens.values, more.values]), offsets)


def speaker_names(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Return the speaker of each clip, "" where it has none; spellings of one name are one."""
    one = usual(clip.speaker for clip in clips if clip.speaker)
    return tuple(one.get(clip.speaker, clip.speaker) if clip.speaker else "" for clip in clips)


def check_by_speaker(sources: Sequence[StreamSource], clips: Sequence[Clip]) -> None:
    """Raise FitError if one of these streams cannot be scaled by speaker, or no clip has one."""
    for source in sources:
        if source.column:
            raise FitError(
                f"--scaling {source.name}={BY_SPEAKER}: its tokens are shared by rows that may "
                "have several speakers, so that they cannot be freed from one of them. Leave "
                "--scaling out."
            )
        if source.spec.kind != "dense":
            raise FitError(
                f"--scaling {source.name}={BY_SPEAKER}: expected a dense stream, this one is "
                f"{source.spec.kind}, whose tokens have no mean to be freed from. Leave it out."
            )
    if sources and not any(clip.speaker for clip in clips):
        streams = " and ".join(source.name for source in sources)
        raise FitError(
            f"--scaling {streams}={BY_SPEAKER}: no clip has a speaker. Fill the manifest's column "
            "speaker (or name yours: --column speaker=THEIRS), or leave --scaling out."
        )


def note_without_speakers(clips: Sequence[Clip], labels: Sequence[str]) -> str:
    """Return a note that test may share speakers with train, and which columns may name them."""
    said = "speakers: no clip names one, so test may share speakers with train"
    columns = dict.fromkeys(name for clip in clips for name in clip.targets)
    likely = [
        name
        for name in columns
        if _may_be_speakers([clip.targets.get(name) or "" for clip in clips], labels)
    ]
    if not likely:
        return said
    return f"{said}; if a column does ({listed(likely)}): --column speaker={likely[0]}"


def _may_be_speakers(values: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether values have two clips on average, and at least one value two labels."""
    labels_of: dict[str, list[str]] = {}
    for value, label in zip(values, labels, strict=True):
        labels_of.setdefault(value, []).append(label)
    each = list(labels_of.values())
    few = 2 <= len(each) <= len(values) / 2 and "" not in labels_of
    return few and any(len(set(found) - {""}) > 1 for found in each)
