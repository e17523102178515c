"""The page of runs: facts are read from run folders, and a template writes them as one HTML file.

May import: errors, extract.decode, extract.media, extract.transforms, heads.data, heads.metrics,
    heads.runs, machine, machine.untrusted, manifest, plugins, predict, ragged, score,
    store.adapted, store.recipe_folder, store.store.
Read first: facts.py.

Two calls make a page::

    facts = read_report([Path("runs/a"), Path("runs/b")], ReportOptions(cards=12))
    html = render_page(facts, media=NO_MEDIA)

``facts`` (:class:`emo.report.facts.ReportFacts`) holds plain values alone: no paths, no content of
clips. ``facts.clips`` are all clips that the page names, in a fixed order; the place of a clip in
it is its number, which is also its number in the page's JSON (``data.clips``) and in links.

``media`` (:class:`emo.report.media.MediaProvider`) decides alone what of a clip is shown and from
where. Its ``of_clip(number)`` returns a :class:`emo.report.media.ClipMedia`, whose addresses go
into ``src`` attributes as they are, and its ``policy`` is added to the page's security policy:

- ``NO_MEDIA``: nothing is shown (`emo report`).
- ``EmbeddedMedia``: addresses are ``data:`` URIs (`emo report --media`).
- a subclass of a server (`emo view`): addresses such as ``clip/12/video`` relative to the page,
  ``policy = {"img-src": "'self'", "media-src": "'self'"}``, and ``clip_link = "clip/{number}"``,
  which makes every id of the clip table and of the cards a link.
"""

from emo.report.facts import ReportFacts, read_report
from emo.report.media import NO_MEDIA, ClipMedia, MediaProvider
from emo.report.options import ReportOptions
from emo.report.page import render_page

__all__ = [
    "NO_MEDIA", "ClipMedia", "MediaProvider", "ReportFacts", "ReportOptions", "read_report",
    "render_page",
]  # fmt: skip
