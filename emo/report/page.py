"""Write facts as one HTML file, which holds its style and script and forbids itself the network."""

import base64
import functools
import hashlib
import json
import math
from importlib import resources
from typing import Any

from emo.errors import line_of
from emo.machine.table import shown
from emo.report.board import ticks_of
from emo.report.facts import ReportFacts
from emo.report.media import NO_MEDIA, ClipMedia, MediaProvider
from emo.report.rows import number_text
from emo.report.sections.draw import cut_distinct, cut_middle

_POLICY = {
    "default-src": "'none'", "img-src": "", "media-src": "", "base-uri": "'none'",
    "form-action": "'none'",
}  # fmt: skip


def render_page(facts: ReportFacts, *, media: MediaProvider = NO_MEDIA) -> str:
    """Return the page as HTML; the same facts and media give the same text.

    Args:
        facts: what it shows.
        media: what is shown of the clips, and from where.
    """
    data = {
        "clips": [facts.names.of("id", each) for each in facts.clips],
        "link": media.clip_link,
        "words": [line_of(each) for each in media.words],
        "media": {number: _addresses(media.of_clip(number)) for number in facts.clips_on_cards},
        "boards": [page.table.document for page in facts.pages],
    }
    return render_template("page.html", facts=facts, media=media, data=embedded_json(data))


def render_template(template: str, *, media: MediaProvider = NO_MEDIA, **values: Any) -> str:
    """Return a template of this room with its style, script and security policy."""
    style, script = _text("page.css"), _text("page.js")
    policy = {
        **_POLICY,
        "script-src": _hash_of(script), "style-src": _hash_of(style),
        "style-src-attr": "'unsafe-inline'",
    }  # fmt: skip
    for directive, sources in media.policy.items():
        before = policy.get(directive, "").replace("'none'", "")
        policy[directive] = f"{before} {sources}".strip()
    words = "; ".join(
        f"{name} {value or chr(39) + 'none' + chr(39)}" for name, value in policy.items()
    )
    page: str = (
        _environment()
        .get_template(template)
        .render(**values, media=media, policy=words, style=style, script=script)
    )
    return page


def embedded_json(value: object) -> str:
    """Return JSON that is safe inside a ``<script>`` element: no ``<``, ``>``, ``&`` or U+2028.

    >>> embedded_json({"id": "</script>"})
    '{"id":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _addresses(own: ClipMedia) -> dict[str, Any]:
    """Return the addresses of a clip's media, which the script puts on its cards."""
    found = {"frames": [*own.frames], "sound": own.sound, "video": own.video}
    return {name: value for name, value in found.items() if value}


def _hash_of(text: str) -> str:
    """Return a source of the security policy that allows one inline style or script."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


@functools.cache
def _text(name: str) -> str:
    """Return a file of ``emo/report/templates``."""
    return resources.files("emo.report").joinpath("templates", name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> Any:
    """Return the environment of the templates: all values are escaped, unknown ones an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_finalized,
    )  # fmt: skip
    environment.filters |= {
        "score": number_text,
        "percent": lambda value: f"{value:.0%}",
        "short": cut_middle,
        "distinct": cut_distinct,
        "count": _count,
        "place": _percent_along,
    }
    environment.globals |= {"ticks_of": ticks_of}
    return environment


def _percent_along(value: float, ends: tuple[float, float]) -> str:
    """Return where a value lies on an axis, in percent of its length."""
    return f"{100 * (value - ends[0]) / ((ends[1] - ends[0]) or 1):.2f}"


def _count(value: float) -> str:
    """Return a number of rows as text; means over seeds have one digit."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _finalized(value: Any) -> Any:
    """Return a value of a template; in plain text, control characters are written out."""
    return shown(value) if type(value) is str else value
