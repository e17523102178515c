"""The pages of `emo view`: the report or the table of clips, and a page for each clip."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlencode

from emo.errors import line_of
from emo.manifest.clips import COLUMNS
from emo.report.media import ClipMedia, MediaProvider
from emo.report.page import embedded_json, render_template
from emo.report.view.clip_media import ClipMediaFiles, ViewedClip
from emo.report.view.server import Answer

CLIPS_ON_A_PAGE = 50
"""Clips on a page of the table."""
_CLIP = re.compile(r"clip/(0|[1-9]\d{0,8})(?:/(media|frame|spectrogram|crops/\d{1,4}))?", re.ASCII)
_PAGE_POLICY = "frame-ancestors 'none'"
"""The header of pages; what they may load stands in the pages themselves."""
_BANNER = "emo view: this page shows people. It is served from this machine, to this machine alone."
_SCRIPT = """\
"use strict";
document.addEventListener("error", async (event) => {
  const node = event.target;
  if (!["VIDEO", "AUDIO", "IMG"].includes(node.tagName) || node.dataset.failed) return;
  node.dataset.failed = "yes";
  const answer = await fetch((node.currentSrc || node.src).split("#")[0]);
  const line = document.createElement("p");
  line.className = "soft small failed";
  const why = answer.ok ? "The browser cannot show this file." : await answer.text();
  line.textContent = why.trim();
  node.replaceWith(line);
}, true);
document.addEventListener("play", (event) => {
  const node = event.target, times = /#t=([0-9.]+),([0-9.]+)/.exec(node.src);
  if (!times) return;
  const [start, end] = [+times[1], +times[2]];
  if (node.currentTime >= end - 0.05 || node.currentTime < start - 0.05) node.currentTime = start;
  const timer = setInterval(() => {
    if (!node.paused && node.currentTime >= end) node.pause();
    if (node.paused) clearInterval(timer);
  }, 15);
}, true);
"""
"""Script of the pages: in place of a player or picture that fails, it shows the reason; a player
of a stretch stops at its end (browsers themselves do so up to 0.25 s later), and begins anew."""


class ServedMedia(MediaProvider):
    """The media of the page's clips, at addresses of the server."""

    policy = MappingProxyType(
        dict.fromkeys(
            ("img-src", "media-src", "script-src", "connect-src", "form-action"), "'self'"
        )
    )
    clip_link = "clip/{number}"
    banner = _BANNER

    def __init__(self, files: ClipMediaFiles) -> None:
        """Show the media of ``files``."""
        self._files = files

    def of_clip(self, number: int) -> ClipMedia:
        """Return the words of a clip and the addresses of its media."""
        player, clip = self._files.player(number), self._files.clips[number].clip
        frames = (f"clip/{number}/frame",) if player.element == "picture" else ()
        return ClipMedia(
            (clip.text or "") if clip else "", frames,
            player.address if player.element != "video" else "",
            player.address if player.element == "video" else "", player.note,
        )  # fmt: skip


class ViewPages:
    """Answers each address of the server."""

    def __init__(
        self, files: ClipMediaFiles, *, title: str, report: str = "", notes: Sequence[str] = ()
    ) -> None:
        """Keep what is shown.

        Args:
            files: the clips and their media.
            title: title of the table of clips.
            report: the page of the runs; empty: the first page is the table of clips.
            notes: what is not shown, and why.
        """
        self._files, self._title, self._report, self._notes = files, title, report, tuple(notes)

    def answer(self, address: str, values: Mapping[str, str]) -> Answer | None:
        """Return what an address stands for; None: nothing.

        Raises:
            EmoError: media cannot be read or decoded.
        """
        if address == "" and self._report:
            return _page(self._report)
        if address in ("", "clips"):
            return _page(self._table(values))
        if address == "media.js":
            return Answer(_SCRIPT.encode(), "text/javascript; charset=utf-8")
        found = _CLIP.fullmatch(address)
        if found is None or int(found[1]) >= len(self._files.clips):
            return None
        if found[2] is None:
            return _page(self._clip(int(found[1])))
        return self._files.answer(int(found[1]), found[2])

    def _table(self, values: Mapping[str, str]) -> str:
        """Return a page of the table of clips."""
        wanted = values.get("q", "")[:200]
        clips = self._files.clips
        words = wanted.casefold().split()
        chosen = [k for k, each in enumerate(clips) if all(word in _text(each) for word in words)]
        pages = max(1, -(-len(chosen) // CLIPS_ON_A_PAGE))
        number = values.get("page", "")
        page = min(pages, max(1, int(number))) if re.fullmatch(r"\d{1,9}", number, re.ASCII) else 1
        shown = chosen[(page - 1) * CLIPS_ON_A_PAGE : page * CLIPS_ON_A_PAGE]
        having = self._files.stores.having([clips[k].id for k in shown])
        rows = [
            (k, clips[k], self._files.player(k), has) for k, has in zip(shown, having, strict=True)
        ]
        links = {
            name: f"clips?{urlencode({'q': wanted, 'page': to})}"
            for name, to in (("Previous", page - 1), ("Next", page + 1)) if 1 <= to <= pages
        }  # fmt: skip
        return render_template(
            "view_clips.html", media=ServedMedia(self._files), data=_NO_DATA, title=self._title,
            rows=rows, wanted=wanted, count=len(chosen), total=len(clips), page=page, pages=pages,
            links=links, notes=self._notes, has_report=bool(self._report),
            recipes=[name for name, _ in self._files.stores.recipes],
            labels=[*dict.fromkeys(name for k in shown for name in _labels(clips[k]))][:6],
        )  # fmt: skip

    def _clip(self, number: int) -> str:
        """Return the page of a clip."""
        viewed = self._files.clips[number]
        clip = viewed.clip
        facts = {} if clip is None else {
            "split": clip.split, "dialogue": clip.dialogue, "turn": clip.turn,
            "speaker": clip.speaker, "video": clip.video, "audio": clip.audio,
            "start": _seconds(clip.start_seconds), "end": _seconds(clip.end_seconds),
            **{f"column {name}": value for name, value in clip.targets.items()},
        }  # fmt: skip
        return render_template(
            "view_clip.html", media=ServedMedia(self._files), data=_NO_DATA, number=number,
            total=len(self._files.clips), viewed=viewed, player=self._files.player(number),
            facts={name: line_of(str(value)) for name, value in facts.items() if value is not None},
            recipes=self._files.stores.of_clip(viewed.id), has_report=bool(self._report),
        )  # fmt: skip


_NO_DATA = embedded_json({"clips": [], "link": "", "words": [], "media": {}, "boards": []})


def _page(text: str) -> Answer:
    return Answer(text.encode("utf-8", "replace"), "text/html; charset=utf-8", _PAGE_POLICY)


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f} s"


def _labels(viewed: ViewedClip) -> Mapping[str, str]:
    return {} if viewed.clip is None else viewed.clip.targets


def _text(viewed: ViewedClip) -> str:
    """Return what the search looks at: all cells of a clip's row."""
    clip = viewed.clip
    cells = [viewed.id]
    if clip is not None:
        cells += [str(getattr(clip, name) or "") for name in COLUMNS]
        cells += clip.targets.values()
    return "\n".join(cells).casefold()
