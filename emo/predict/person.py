"""The person who speaks in the clips to predict, and further clips of the same person.

A run that scales streams by speaker reads the statistics of the person from all these clips.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emo.errors import FitError
from emo.heads.data.speakers import Speakers, speaker_names
from emo.heads.runs.run import Run
from emo.machine.untrusted.addresses import is_url
from emo.manifest import Clip, Manifest
from emo.predict.media_files import manifest_of_files, moved

UNNAMED = "the speaker"
"""Name of the person where ``--like`` is given without ``--speaker``."""
_LIKE = "--like "
"""Start of the ids of further clips."""


@dataclass(frozen=True)
class Person:
    """One person who speaks in all clips that are predicted."""

    name: str = ""
    """Name of the person; empty: the manifest says who speaks."""
    like: tuple[Path, ...] = ()
    """Further media files of the person, or folders of them, which are not predicted."""

    def added_to(self, manifest: Manifest, run: Run) -> Manifest:
        """Return a manifest in which this person speaks in all clips, with the further clips last.

        A further clip whose file is among the predicted ones is left out.

        Raises:
            FitError: the run scales no stream by speaker.
            MediaError: a further file does not exist.
        """
        if not (self.name or self.like):
            return manifest
        if not run.is_by_speaker:
            raise FitError(
                f"{run.path}: it scales no stream by speaker, so that speakers change nothing. "
                "Leave --speaker and --like out."
            )
        roots, likes = [os.path.abspath(manifest.root)], []
        if self.like:
            more = manifest_of_files(self.like, "--like")
            known = {_file_of(manifest, clip) for clip in manifest.clips}
            likes = [clip for clip in more.clips if _file_of(more, clip) not in known]
            roots.append(os.path.abspath(more.root))
        root = Path(os.path.commonpath(roots))
        clips = [moved(clip, manifest, root) for clip in manifest.clips]
        for clip in likes:
            clips.append(replace(moved(clip, more, root), id=f"{_LIKE}{clip.id}"))
        name = self.name or UNNAMED
        return replace(
            manifest, root=root, clips=tuple(replace(clip, speaker=name) for clip in clips)
        )

    def is_predicted(self, clip_id: str) -> bool:
        """Return whether the clip of an id is predicted; False for one of :attr:`like`."""
        return not (self.like and clip_id.startswith(_LIKE))


EVERYONE = Person()
"""No single person: the manifest says who speaks."""


def speakers_and_notes(
    run: Run,
    clips: Sequence[Clip],
    streams: Mapping[str, Any],
    *,
    person: Person,
    failures: Mapping[str, str],
) -> tuple[Speakers | None, tuple[str, ...]]:
    """Return the speakers of clips for :meth:`Run.predict_all`, and notes on them.

    Args:
        run: the run.
        clips: N clips, those of :attr:`Person.like` included.
        streams: their stored tokens by stream, a Ragged of numpy (ΣT, D) each.
        person: the speaker of all clips, and further clips.
        failures: clip without tokens -> reason; further clips among them get a note.
    """
    if not run.is_by_speaker:
        return None, ()
    speakers = run.speakers_of(streams, speaker_names(clips))
    notes = speakers.notes_on_clips()
    if not any(speakers.names):
        told = (
            "--speaker NAME says that all CLIPs are one person's; in a manifest the column speaker "
            "says who speaks (another column: --column speaker=NAME)"
        )
        notes = [f"{note}; {told}" for note in notes]
    lost = [f"{clip}: {why}" for clip, why in failures.items() if not person.is_predicted(clip)]
    return speakers, (*notes, *lost)


def _file_of(manifest: Manifest, clip: Clip) -> Path | str:
    """Return the media file of a clip; of a text alone, its id."""
    path = clip.video or clip.audio
    if path and is_url(path):
        return path
    return manifest.media_path(path) if path else clip.id
