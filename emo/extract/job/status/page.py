"""`emo job watch --html`: the status of a job as one page, for the web folder of a cluster.

The page loads nothing, runs no script, and loads itself again until the job is over. It names no
clip unless it is asked to, and no path.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from emo.errors import StoreError, plural
from emo.extract.job.status.status import SHOWN_REASONS, Status, duration
from emo.extract.job.timings import SHOWN_SECONDS, StageTotals, advice
from emo.machine.table import shown
from emo.machine.whole_file import whole_file

REFRESH_SECONDS = 10
"""Seconds after which a browser loads the page again."""
_NAMES = re.compile(r"""["“][^"”]*["”]|\S+\.\w{2,5}(?!\w)""")
"""Quoted words and names of files in the kind of a failure."""
_MARKS = re.compile(r"…[…\s]*…")
"""Several names in a row, such as those of a path with a blank."""
_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1b1e24; --line: #c9ced6; --dim: #4a5160; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181d; --text: #eceef2; --line: #474d59; --dim: #b9c0cc; }
}
html { background: var(--page); color: var(--text); }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem;
       overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
progress { width: 100%; height: 1.2rem; accent-color: #2f6fb5; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt, footer { color: var(--dim); } dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
         vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


def write_job_page(path: Path, status: Status, *, has_ids: bool = False) -> None:
    """Write the page of a job; readers see the earlier page or the new one.

    Args:
        path: the file.
        status: the status of the job.
        has_ids: name a clip for each kind of failure, with the full reason.

    Raises:
        StoreError: the file cannot be written.
    """
    text = page_of(status, when=datetime.now(UTC), has_ids=has_ids)
    with whole_file(path, StoreError) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def page_of(status: Status, *, when: datetime, has_ids: bool = False) -> str:
    """Return the page of a job.

    Args:
        status: the status of the job.
        when: when it was found out, in UTC.
        has_ids: name a clip for each kind of failure, with the full reason.
    """
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    title = f"emo job {_text(status.folder.path.name)}"
    again = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if not status.is_over else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
{again}
<title>{_share(status)} % · {title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}: {_outcome(status)}</h1>
{_progress(status)}
{_facts(status)}
{_stages(status)}
{_failures(status, has_ids=has_ids)}
</main>
<footer>{when:%Y-%m-%d %H:%M:%S} UTC</footer>
</body>
</html>
"""


def _text(value: object) -> str:
    """Return a text for the page: control characters and signs of HTML are written out."""
    return escape(shown(str(value)))


def _done(status: Status) -> int:
    """Return the number of clips that are committed."""
    return status.clips - sum(status.missing.values())


def _share(status: Status) -> int:
    """Return the share of clips that are committed, in whole per cent, rounded down."""
    return 100 * _done(status) // status.clips if status.clips else 100


def _outcome(status: Status) -> str:
    """Return how the job stands, in a word or two."""
    if status.is_done:
        return "done"
    return "stopped" if status.is_over else "running"


def _progress(status: Status) -> str:
    """Return the bar of the clips, with its numbers as text."""
    done = _done(status)
    return (
        f'<p id="progress">{done:,} of {status.clips:,} clips, {_share(status)} %</p>\n'
        f'<progress aria-labelledby="progress" max="{max(1, status.clips)}" value="{done}">'
        "</progress>"
    )


def _facts(status: Status) -> str:
    """Return parts, failed clips, the rate and what else is known, as a list."""
    parts, left = len(status.folder.parts), sum(status.missing.values())
    running, rate = len(status.running), status.logs.clips_per_second
    facts = {
        "parts": f"{parts:,}: {parts - len(status.missing):,} done, {running:,} running, "
        f"{len(status.missing) - running:,} to do",
        "failed clips": f"{status.failed:,}",
        "rate": "not known yet" if rate is None else f"{rate:.1f} clips/s",
    }
    if rate and left and not status.is_over:
        facts["time left"] = f"about {duration(left / rate)}"
    if status.queued:
        facts["Slurm tasks"] = ", ".join(
            f"{n} {state}" for state, n in sorted(status.queued.items())
        )
    if status.deaths:
        facts["dead workers"] = f"{status.deaths}, with clips in hand"
    rows = "\n".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    return f"<dl>\n{rows}\n</dl>"


def _stages(status: Status) -> str:
    """Return how long each stage took and how busy it was; empty: nothing is known."""
    work = status.logs.work
    seconds = status.logs.stage_seconds
    names = dict.fromkeys([*(name for name, each in work.stages.items() if each.items), *seconds])
    if not names:
        return ""
    clips = max(1, status.logs.clips)
    rows = [
        (name, _milliseconds(seconds.get(name), clips), _busy(work.stages.get(name)))
        for name in names
    ]
    table = _table("Stages", ("stage", "ms a clip", "threads busy"), rows, numbers=(1, 2))
    tip = f"<p>{_text(advice(work))}</p>" if work.wall_seconds >= SHOWN_SECONDS else ""
    return f"{table}{tip}"


def _milliseconds(seconds: float | None, clips: int) -> str:
    """Return the mean time of a stage for a clip; "–" for one that is not of single clips."""
    return "–" if seconds is None else f"{1000 * seconds / clips:,.0f}"


def _busy(totals: StageTotals | None) -> str:
    """Return the share of their time in which a stage's threads were busy."""
    return "–" if totals is None or not totals.thread_seconds else f"{totals.busy_share:.0%}"


def _failures(status: Status, *, has_ids: bool) -> str:
    """Return the commonest kinds of failures; empty: nothing failed."""
    counts: Counter[str] = Counter()
    for kind, count in status.logs.reasons.items():
        counts[kind if has_ids else _MARKS.sub("…", _NAMES.sub("…", kind))] += count
    if not counts:
        return ""
    found = counts.most_common(SHOWN_REASONS)
    examples = status.logs.examples
    rows = [(f"{count:,}", examples[kind] if has_ids else kind) for kind, count in found]
    if rest := len(counts) - len(found):
        others = counts.total() - sum(count for _, count in found)
        rows.append((f"{others:,}", f"({plural(rest, 'other reason')})"))
    title = "for example" if has_ids else "reason, without names and numbers"
    return _table("Failures", ("failed", title), rows, numbers=(0,))


def _table(
    title: str, names: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int]
) -> str:
    """Return a table under a heading, which can be scrolled sideways on a narrow screen.

    Args:
        title: the heading.
        names: names of the columns.
        rows: cells of each row as text.
        numbers: columns of numbers.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        kinds = [' class="number"' if k in numbers else "" for k in range(len(cells))]
        return "".join(
            f"<{tag}{scope}{kind}>{_text(cell)}</{tag}>"
            for kind, cell in zip(kinds, cells, strict=True)
        )

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return (
        f'<h2>{title}</h2>\n<div class="wide" role="region" tabindex="0" aria-label="{title}">'
        f"<table>\n<thead><tr>{line(names, 'th')}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )
