"""What is wrong with the files of a manifest: missing, undecodable, over-long, too short."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emo.check.finding import Finding, error, warning
from emo.errors import MediaError
from emo.manifest import Clip, Manifest

LONG_SECONDS = 60.0
SHORT_SECONDS = 0.1
_SLACK_SECONDS = 0.5  # headers round, and audio may end after the last picture


@dataclass(frozen=True)
class Probe:
    """What opening (and decoding) the media of one clip has shown."""

    missing: tuple[str, ...] = ()
    """Paths, as in the manifest, at which there is no file."""
    fault: str | None = None
    """Why it cannot be decoded."""
    seconds: float | None = None
    """Length of the clip; None: unknown."""
    file_seconds: float | None = None
    """Where the file ends."""
    absent: dict[str, str] = field(default_factory=dict)
    """``{"audio": "the file has no audio track"}``, also for ``video``."""
    notes: dict[str, float] = field(default_factory=dict)
    """What is wrong with media that can be decoded, as ``Media.notes``; ``seconds_lacking`` is NaN
    where only headers were read."""
    is_still: bool = False
    """Whether the clip is a still picture without sound: it has no length."""


def media_findings(manifest: Manifest, *, fast: bool, workers: int) -> list[Finding]:
    """Look into every file; ``fast`` reads headers only, else each clip is decoded to its end."""
    clips = [clip for clip in manifest.clips if clip.video or clip.audio]
    probes = probe_all(clips, manifest.root, fast=fast, workers=workers)
    pairs = list(zip(clips, probes, strict=True))
    timed = [(clip, probe.seconds) for clip, probe in pairs if probe.seconds is not None]
    return [
        error("missing files", list(dict.fromkeys(f for p in probes for f in p.missing))),
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
        warning("files that are cut", _cut(pairs)),
        warning("clips with damaged frames", _damaged(pairs)),
        warning("clips without picture", _lacking(pairs, "video")),
        warning("clips without sound", _lacking(pairs, "audio")),
    ]


def _named(clip: Clip, fault: str) -> str:
    return fault if fault.startswith(f"{clip.id}:") else f"{clip.id} ({fault})"


def _past_the_end(pairs: Sequence[tuple[Clip, Probe]]) -> list[str]:
    return [
        f"{clip.id} (end_seconds {clip.end_seconds:g}, the file ends at {probe.file_seconds:.2f} s)"
        for clip, probe in pairs
        if clip.end_seconds is not None
        and probe.file_seconds is not None
        and clip.end_seconds > probe.file_seconds + _SLACK_SECONDS
    ]


def _cut(pairs: Sequence[tuple[Clip, Probe]]) -> list[str]:
    lacking = [(clip.id, probe.notes.get("seconds_lacking", 0.0)) for clip, probe in pairs]
    return [
        f"{clip_id} (the end is lacking)"
        if np.isnan(seconds)
        else f"{clip_id} (at least {seconds:.2f} s are lacking)"
        for clip_id, seconds in lacking
        if seconds
    ]


def _damaged(pairs: Sequence[tuple[Clip, Probe]]) -> list[str]:
    counts = [(clip.id, probe.notes.get("damaged_frames", 0.0)) for clip, probe in pairs]
    return [f"{clip_id} ({count:.0f} frames)" for clip_id, count in counts if count]


def _lacking(pairs: Sequence[tuple[Clip, Probe]], modality: str) -> list[str]:
    return [
        f"{clip.id} ({probe.absent[modality]})"
        for clip, probe in pairs
        if modality in probe.absent and clip.video and not probe.is_still
    ]


def probe_all(clips: Sequence[Clip], root: Path, *, fast: bool, workers: int) -> list[Probe]:
    """Open (``fast``) or decode each clip's media once; one Probe a clip, in their order."""
    keys = [_key(clip) for clip in clips]
    distinct = dict(zip(keys, clips, strict=True))  # two rows may name one stretch of one file
    with ThreadPoolExecutor(max(1, workers)) as pool:
        probes = pool.map(lambda clip: _probe(clip, root, fast=fast), distinct.values())
        bar = tqdm(probes, total=len(distinct), desc="check", unit="clip", disable=None)
        results = dict(zip(distinct, bar, strict=True))
    return [results[key] for key in keys]


def _key(clip: Clip) -> tuple[object, ...]:
    return clip.video, clip.audio, clip.audio_channel, clip.start_seconds, clip.end_seconds


def _probe(clip: Clip, root: Path, *, fast: bool) -> Probe:
    paths = [path for path in (clip.video, clip.audio) if path]
    missing = tuple(path for path in paths if not os.path.isfile(root / path))
    if missing:
        return Probe(missing)
    try:
        return _headers(clip, root) if fast else _decode(clip, root)
    except MediaError as fault:
        return Probe(fault=str(fault))


def _headers(clip: Clip, root: Path) -> Probe:
    from emo.extract.decode.container import declared_seconds, open_media, pick
    from emo.extract.decode.still import NO_SOUND, is_still, still_shape
    from emo.extract.decode.truncated import is_truncated

    tracks: dict[str, list[str]] = {}
    for path, is_for in ((clip.video, "video"), (clip.audio or clip.video, "audio")):
        if path is not None:
            tracks.setdefault(path, []).append(is_for)
    absent: dict[str, str] = {}
    notes: dict[str, float] = {}
    lengths = []
    for path, wanted in tracks.items():
        if is_still(root / path):
            still_shape(root / path)
            absent |= {"audio": NO_SOUND} if "audio" in wanted else {}
            continue
        with open_media(root / path) as container:
            for is_for in wanted:
                if pick([s for s in container.streams if s.type == is_for]) is None:
                    absent[is_for] = f"the file has no {is_for} track"
            lengths.append(declared_seconds(container))
            if is_truncated(root / path, container.format.name):
                notes["seconds_lacking"] = np.nan
    file_seconds = max((length for length in lengths if length is not None), default=None)
    return _judge(clip, absent, file_seconds, notes)


def _decode(clip: Clip, root: Path) -> Probe:
    from emo.extract.decode.decode import load_media, probe_seconds
    from emo.extract.decode.source import ClipSource, source_of
    from emo.extract.decode.still import is_still
    from emo.extract.media import Needs

    need = Needs(frames=_FirstAndLast(), keep_frames=True, audio=True)
    media = load_media(source_of(clip, root), [need], detect=None)[0]
    start = clip.start_seconds or 0.0
    ends = []
    if media.frame_seconds is not None and not is_still(root / (clip.video or "")):
        ends.append(float(media.frame_seconds[-1]))
    if media.samples is not None and media.sample_rate:
        ends.append(start + media.samples.shape[1] / media.sample_rate)
    decoded = max(ends, default=None)
    declared = probe_seconds(ClipSource(video=root / (clip.video or clip.audio or "")))
    if decoded is not None and declared is not None and clip.end_seconds is None:
        # the last frame lasts a while, which headers know; beyond that, what was decoded counts
        decoded = declared if 0 < declared - decoded < _SLACK_SECONDS else decoded
    return _judge(clip, media.absent, decoded, media.notes)


def _judge(
    clip: Clip, absent: dict[str, str], file_seconds: float | None, notes: dict[str, float]
) -> Probe:
    from emo.extract.decode.still import NO_SOUND

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
        notes=notes,
        is_still=is_still,
    )


class _FirstAndLast:
    """Asks for both ends of the clip, so that everything between must be decoded on the way."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        return np.unique(np.arange(len(seconds))[[0, -1]]) if len(seconds) else np.zeros(0, int)
