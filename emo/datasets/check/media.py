"""Check the media files of a manifest: missing, undecodable, too long, too short."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emo.datasets.check.finding import Finding, error, warning
from emo.datasets.check.sound import OPPOSITE, OVERLOADED, SILENT, listen
from emo.errors import MediaError
from emo.extract.decode.faults import CUT
from emo.machine.libraries import MissingLibraryError
from emo.machine.progress import progress_bar
from emo.machine.untrusted.addresses import is_url, parse_address
from emo.manifest import Clip, Manifest

if TYPE_CHECKING:
    from emo.extract.media import Media

LONG_SECONDS = 60.0
"""Length from which a clip is reported as long, by `emo check` and `emo dataset`."""
SHORT_SECONDS = 0.1
"""Length below which a clip is reported as short."""
MISSING_FILES = "missing files"
"""Name of the finding of paths at which there is no file."""
BACKSLASHES = "paths with backslashes"
"""Name of the finding of missing paths that are written as on Windows."""
CUT_FILES = "clips whose file is cut"
"""Name of the finding of clips whose file lacks its end."""
DAMAGED = "clips with damaged media"
"""Name of the finding of clips with damaged frames, or damage or holes in the sound."""
DECODED_FINDINGS = (DAMAGED, SILENT, OPPOSITE, OVERLOADED)
"""Names of the findings that only decoding shows."""
_SLACK_SECONDS = 0.5  # headers round, and audio may end after the last picture


@dataclass(frozen=True)
class Probe:
    """Result of opening (or decoding) the media of one clip."""

    missing: tuple[str, ...] = ()
    """Paths, as in the manifest, at which there is no file."""
    fault: str | None = None
    """Why the clip cannot be decoded; None: it can."""
    seconds: float | None = None
    """Length of the clip in seconds; None: unknown."""
    file_seconds: float | None = None
    """End of the media file in seconds; None: unknown."""
    absent: dict[str, str] = field(default_factory=dict)
    """Modality (``audio``, ``video``) that the clip lacks -> reason."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """Name of :data:`CUT_FILES` or of one of :data:`DECODED_FINDINGS` -> detail."""
    is_still: bool = False
    """Whether the clip is a still picture without sound: it has no length."""
    unread: str = ""
    """Why the headers were not read although the files are there; empty: they were."""


def media_findings(manifest: Manifest, *, fast: bool, workers: int) -> list[Finding]:
    """Check every media file.

    Args:
        manifest: the clips.
        fast: read headers only; False: decode each clip to its end.
        workers: files that are opened at the same time.
    """
    from emo.extract.decode.sources.object_listing import list_objects

    clips = [clip for clip in manifest.clips if clip.video or clip.audio]
    list_objects(clips)
    probes = probe_all(clips, manifest.root, fast=fast, workers=workers)
    pairs = list(zip(clips, probes, strict=True))
    timed = [(clip, probe.seconds) for clip, probe in pairs if probe.seconds is not None]
    return [
        error(MISSING_FILES, list(dict.fromkeys(f for p in probes for f in p.missing))),
        error(BACKSLASHES, *_backslashes(manifest, probes)),
        error(
            "unreadable headers" if fast else "undecodable clips",
            [_named(clip, probe.fault) for clip, probe in pairs if probe.fault],
        ),
        warning(
            f"clips over {LONG_SECONDS:g} s",
            [f"{clip.id} ({seconds:.0f} s)" for clip, seconds in timed if seconds > LONG_SECONDS],
        ),
        warning(
            f"clips under {SHORT_SECONDS:g} s",
            [f"{clip.id} ({seconds:.3f} s)" for clip, seconds in timed if seconds < SHORT_SECONDS],
        ),
        warning("clips that end after their file", _past_the_end(pairs)),
        warning(CUT_FILES, _remarked(pairs, CUT_FILES)),
        warning("clips without picture", _lacking(pairs, "video")),
        warning("clips without sound", _lacking(pairs, "audio")),
        *(() if fast else (warning(name, _remarked(pairs, name)) for name in DECODED_FINDINGS)),
        *_unread(pairs),
    ]


def _unread(pairs: Sequence[tuple[Clip, Probe]]) -> list[Finding]:
    """Return a finding if headers were not read, because a library is not installed."""
    ids = [clip.id for clip, probe in pairs if probe.unread]
    reason = next((probe.unread for _, probe in pairs if probe.unread), "")
    return [warning("headers that were not read", ids, reason)] if ids else []


def _backslashes(manifest: Manifest, probes: Sequence[Probe]) -> tuple[list[str], str]:
    """Return missing paths that are written as on Windows, and what to do about them."""
    if os.sep == "\\":
        return [], ""
    found = list(dict.fromkeys(f for probe in probes for f in probe.missing if "\\" in f))
    there = sum(os.path.isfile(manifest.root / path.replace("\\", "/")) for path in found)
    return found, f"write / for \\ in the manifest, which finds {there:,} of {len(found):,} files"


def _remarked(pairs: Sequence[tuple[Clip, Probe]], name: str) -> list[str]:
    """Return a line for each clip with the finding."""
    return [f"{clip.id} ({probe.remarks[name]})" for clip, probe in pairs if name in probe.remarks]


def _named(clip: Clip, fault: str) -> str:
    """Return a fault together with the id of its clip."""
    return fault if fault.startswith(f"{clip.id}:") else f"{clip.id} ({fault})"


def _past_the_end(pairs: Sequence[tuple[Clip, Probe]]) -> list[str]:
    """Return a text for each clip whose ``end_seconds`` is after the end of its file."""
    return [
        f"{clip.id} (end_seconds {clip.end_seconds:g}, the file ends at {probe.file_seconds:.2f} s)"
        for clip, probe in pairs
        if clip.end_seconds is not None
        and probe.file_seconds is not None
        and clip.end_seconds > probe.file_seconds + _SLACK_SECONDS
    ]


def _lacking(pairs: Sequence[tuple[Clip, Probe]], modality: str) -> list[str]:
    """Return "id (reason)" for each clip whose video file has no ``modality``, such as no sound."""
    return [
        f"{clip.id} ({probe.absent[modality]})"
        for clip, probe in pairs
        if modality in probe.absent and clip.video and not probe.is_still
    ]


def probe_all(clips: Sequence[Clip], root: Path, *, fast: bool, workers: int) -> list[Probe]:
    """Open (``fast``) or decode the media of each clip; return a Probe for each, in order."""
    keys = [_key(clip) for clip in clips]
    distinct = dict(zip(keys, clips, strict=True))  # two rows may name the same part of one file
    with ThreadPoolExecutor(max(1, workers)) as pool:
        probes = pool.map(lambda clip: _probe(clip, root, fast=fast), distinct.values())
        results = {}
        with progress_bar(shown=None, total=len(distinct), desc="check", unit="clip") as bar:
            for key, probe in zip(distinct, probes, strict=True):
                results[key] = probe
                bar.update()
    return [results[key] for key in keys]


def _key(clip: Clip) -> tuple[object, ...]:
    """Return a key that is equal for clips with the same media and times."""
    return (
        clip.video, clip.audio, clip.audio_channel, clip.audio_track, clip.start_seconds,
        clip.end_seconds,
    )  # fmt: skip


def _probe(clip: Clip, root: Path, *, fast: bool) -> Probe:
    """Open (``fast``) or decode the media of one clip."""
    paths = [path for path in (clip.video, clip.audio) if path]
    missing = tuple(path for path in paths if _is_missing(path, root))
    if missing:
        return Probe(missing)
    try:
        return _headers(clip, root) if fast else _decode(clip, root)
    except MediaError as fault:
        return Probe(fault=str(fault))
    except MissingLibraryError as error:
        if fast:
            return Probe(unread=str(error))
        raise MissingLibraryError(f"{error}; or check without decoding: --fast") from error


def _is_missing(cell: str, root: Path) -> bool:
    """Return whether there is no local file; one elsewhere is missing when it is opened."""
    file = parse_address(cell).file
    return not is_url(file) and not os.path.isfile(root / file)


def _headers(clip: Clip, root: Path) -> Probe:
    """Read the headers of a clip's files."""
    from emo.extract.decode.container import declared_seconds, open_media, pick
    from emo.extract.decode.pictures.still import NO_SOUND, is_still, still_shape
    from emo.extract.decode.sound.audio_track import pick_audio
    from emo.extract.decode.sources.media_file import located
    from emo.extract.decode.structure.truncated import is_truncated

    tracks: dict[str, list[str]] = {}
    for cell, is_for in ((clip.video, "video"), (clip.audio or clip.video, "audio")):
        if cell is not None:
            tracks.setdefault(cell, []).append(is_for)
    absent: dict[str, str] = {}
    lengths, is_cut = [], False
    for cell, wanted in tracks.items():
        path = located(cell, root)
        if is_still(path):
            still_shape(path)
            absent |= {"audio": NO_SOUND} if "audio" in wanted else {}
            continue
        with open_media(path) as container:
            for is_for in wanted:
                if is_for == "video":
                    track = pick(container.streams.video)
                else:
                    track = pick_audio(container, clip.audio_track, path.name)
                if track is None:
                    absent[is_for] = f"the file has no {is_for} track"
            lengths.append(declared_seconds(container))
            is_cut |= is_truncated(path, container.format.name)
    file_seconds = max((length for length in lengths if length is not None), default=None)
    remarks = {CUT_FILES: CUT} if is_cut else {}
    return replace(_result(clip, absent, file_seconds), remarks=remarks)


def _decode(clip: Clip, root: Path) -> Probe:
    """Decode a clip from its start to its end."""
    from emo.extract.decode.decode import load_media, probe_seconds
    from emo.extract.decode.pictures.still import is_still
    from emo.extract.decode.source import ClipSource, source_of
    from emo.extract.decode.sources.media_file import located
    from emo.extract.media import Needs

    need = Needs(frames=_FirstAndLast(), keep_frames=True, audio=True)
    media = load_media(source_of(clip, root, decodes_all=True), [need], detect=None)[0]
    start = clip.start_seconds or 0.0
    ends = []
    if media.frame_seconds is not None and not is_still(located(clip.video or "", root)):
        ends.append(float(media.frame_seconds[-1]))
    if media.samples is not None and media.sample_rate:
        ends.append(start + media.samples.shape[1] / media.sample_rate)
    decoded = max(ends, default=None)
    declared = probe_seconds(ClipSource(video=located(clip.video or clip.audio or "", root)))
    if decoded is not None and declared is not None and clip.end_seconds is None:
        # the header includes the duration of the last frame; if it differs by more, it is wrong
        decoded = declared if 0 < declared - decoded < _SLACK_SECONDS else decoded
    remarks = _remarks(clip, root, media)
    return replace(_result(clip, media.absent, decoded), remarks=remarks)


def _remarks(clip: Clip, root: Path, media: "Media") -> dict[str, str]:
    """Return what decoding has shown besides the length: finding -> detail."""
    from emo.extract.decode.sources.media_file import located

    names = {located(cell, root).name for cell in (clip.video, clip.audio) if cell}
    faults = [fault.split(": ", 1) for fault in media.faults]
    told = [words[-1] if words[0] in names else ": ".join(words) for words in faults]
    cuts = [phrase for phrase in told if phrase.startswith(CUT)]
    damage = [phrase for phrase in told if phrase not in cuts]
    remarks = {DAMAGED: "; ".join(damage)} if damage else {}
    if cuts:
        remarks[CUT_FILES] = f"{CUT}: " + "; ".join(cut.removeprefix(f"{CUT}: ") for cut in cuts)
    if media.samples is not None:
        remarks |= listen(media.samples, is_mix=clip.audio_channel == "mix")
    tracks = _audio_tracks(clip, root) if SILENT in remarks else 1
    if tracks > 1:
        remarks[SILENT] += f"; {tracks} audio tracks: choose in audio_track"
    return remarks


def _audio_tracks(clip: Clip, root: Path) -> int:
    """Return the number of audio tracks of the file that the sound of a clip is read from."""
    from emo.extract.decode.container import open_media
    from emo.extract.decode.sources.media_file import located

    with open_media(located(clip.audio or clip.video or "", root)) as container:
        return len(container.streams.audio)


def _result(clip: Clip, absent: dict[str, str], file_seconds: float | None) -> Probe:
    """Return the Probe of a clip from the modalities that it lacks and the end of its file."""
    from emo.extract.decode.pictures.still import NO_SOUND

    wanted = {"video", "audio"} if clip.video else {"audio"}
    if wanted <= absent.keys():
        return Probe(fault="; ".join(absent[name] for name in sorted(wanted)))
    start, end = clip.start_seconds or 0.0, clip.end_seconds
    ends = [seconds for seconds in (end, file_seconds) if seconds is not None]
    if file_seconds is not None and file_seconds < start:
        return Probe(fault=f"starts at {start:g} s, the file ends at {file_seconds:.2f} s")
    is_still = absent.get("audio") == NO_SOUND
    return Probe(
        seconds=min(ends) - start if ends and not is_still else None,
        file_seconds=file_seconds,
        absent=absent,
        is_still=is_still,
    )


class _FirstAndLast:
    """Choice of the first and the last frame, which makes the decoder decode all between them."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return int (2,), the indices of both frames; fewer if the clip has fewer."""
        return np.unique(np.arange(len(seconds))[[0, -1]]) if len(seconds) else np.zeros(0, int)
