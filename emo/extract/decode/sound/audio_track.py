"""Choose the audio track of a file: the default one, or the one that the manifest names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emo.errors import MediaError
from emo.extract.decode.container import pick
from emo.extract.decode.sound.languages import one_code

if TYPE_CHECKING:
    from av.container import InputContainer


def pick_audio(container: InputContainer, track: str | None, name: str) -> Any | None:
    """Return an audio track.

    Args:
        container: the open file.
        track: 0-based number among the audio tracks, or a language in any code of ISO 639
            (``eng``, ``en``); None: the track marked as default, else the first.
        name: name of the file, for the message.

    Returns:
        The track, or None when the file has no audio track at all.

    Raises:
        MediaError: the file has audio tracks, but not this one, or several in this language.
    """
    streams = list(container.streams.audio)
    if track is None or not streams:
        return pick(streams)
    track = track.strip()
    if track.isdecimal() and int(track) < len(streams):
        return streams[int(track)]
    found = [stream for stream in streams if language_of(stream) == track.casefold()]
    if not found:  # another code of the language, or without its region
        wanted = one_code(track)
        found = [each for each in streams if wanted and one_code(language_of(each)) == wanted]
    if len(found) == 1:
        return found[0]
    tracks = ", ".join(f"{n} ({language_of(s) or 'no language'})" for n, s in enumerate(streams))
    problem = f"{len(found)} tracks have this language" if found else "no such track"
    raise MediaError(
        f"{name}: audio_track {track!r}: {problem}; the file's audio tracks are {tracks}. "
        "Give one of these numbers"
    )


def language_of(stream: Any) -> str:
    """Return the language that the file states for a track, in lower case; ``""``: none."""
    language = str(stream.metadata.get("language", "")).casefold()
    return "" if language == "und" else language
