"""A page of hits with a still of each clip, from the user's own media; nothing is sent anywhere."""

import base64
import io
from html import escape
from pathlib import Path

import numpy as np

from emo.errors import MediaError, OptionError
from emo.extract.decode.decode import load_media
from emo.extract.decode.source import source_of
from emo.extract.media import Needs, Uniform
from emo.machine.whole_file import whole_file
from emo.manifest import Clip, Manifest
from emo.predict.similarity.search import Hit, SearchReport

_WIDTH = 320
"""Largest width of a still in pixels."""
_STYLE = (
    "body{font:16px sans-serif;margin:2em}section{display:flex;flex-wrap:wrap;gap:1em}"
    "figure{margin:0;width:320px}img{width:100%}figcaption{overflow-wrap:anywhere}"
)


def write_page(report: SearchReport, manifest: Manifest, path: Path) -> int:
    """Write hits as an HTML file that holds their stills.

    Args:
        report: the hits.
        manifest: the clips, with their media.
        path: the file.

    Returns:
        Number of hits without a still, because their file has no pictures or cannot be decoded.
    """
    clips = {clip.id: clip for clip in manifest.clips}
    stills: dict[str, str] = {}
    for hit in report.hits:
        if hit.id not in stills:
            stills[hit.id] = _still(clips.get(hit.id), manifest.root)
    parts = [f"<!doctype html><meta charset=utf-8><title>Hits</title><style>{_STYLE}</style>"]
    for query in dict.fromkeys(hit.query for hit in report.hits):
        own = [hit for hit in report.hits if hit.query == query]
        figures = "".join(_figure(hit, stills[hit.id], clips.get(hit.id)) for hit in own)
        parts.append(f"<h2>{escape(query)}</h2><section>{figures}</section>")
    parts += [f"<p>{escape(line)}</p>" for line in report.lines()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, OptionError) as unfinished:
        unfinished.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return sum(not stills[hit.id] for hit in report.hits)


def _figure(hit: Hit, still: str, clip: Clip | None) -> str:
    """Return one hit as HTML: its still, rank, id, score and text."""
    image = f'<img alt="" src="data:image/jpeg;base64,{still}">' if still else ""
    text = hit.text or (clip.text if clip and clip.text else "")
    words = f"{hit.rank}. <b>{escape(hit.id)}</b> {hit.score:.3f}<br>{escape(text)}"
    return f"<figure>{image}<figcaption>{words}</figcaption></figure>"


def _still(clip: Clip | None, root: Path) -> str:
    """Return the middle picture of a clip as a JPEG in base64; "" if it has none."""
    if clip is None or clip.video is None:
        return ""
    needs = Needs(frames=Uniform(3), keep_frames=True, transform=_small)
    try:
        (media,) = load_media(source_of(clip, root), [needs])
    except (MediaError, OSError):
        return ""
    if media.frames is None or not len(media.frames):
        return ""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(media.frames[len(media.frames) // 2]).save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _small(frame: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, 3), a frame that is at most ``_WIDTH`` pixels wide."""
    from PIL import Image

    height, width = frame.shape[:2]
    if width <= _WIDTH:
        return frame
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
