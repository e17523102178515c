"""Write ranked runs as JSON, CSV, LaTeX and Markdown."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emo import plugins
from emo.errors import OptionError
from emo.heads.metrics.measures import title_of
from emo.heads.runs.comparing.ablated import CHECK
from emo.heads.runs.comparing.baseline import shown_p
from emo.heads.runs.comparing.compare import Comparison
from emo.heads.runs.comparing.records import RankedTable, tables_of
from emo.heads.runs.files import shown_path

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "–": "--", "±": r"$\pm$", "−": "$-$",
    }
)  # fmt: skip
_CHECK = r"\checkmark"


def to_json(comparison: Comparison) -> str:
    """Return a JSON document: ``runs`` with the records of all runs, ``baseline``, ``notes``."""
    records = [record for table in tables_of(comparison) for record in table.records]
    tests = comparison.baseline
    document = {
        "baseline": shown_path(tests.baseline.path) if tests else None,
        "correction": tests.correction if tests else None,
        "runs": [{name: _finite(value) for name, value in each.items()} for each in records],
        "notes": list(comparison.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def to_csv(comparison: Comparison) -> str:
    """Return CSV with a line for each run; cells that a run does not have are empty."""
    records = [record for table in tables_of(comparison) for record in table.records]
    names = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({name: _number(value) for name, value in record.items()})
    return text.getvalue().rstrip("\n")


def to_latex(
    comparison: Comparison,
    *,
    metrics: Sequence[str] = (),
    names: Mapping[Path, str] = MappingProxyType({}),
) -> str:
    """Return a LaTeX table for each target, with the best headline score in bold.

    Args:
        comparison: the ranked runs.
        metrics: scores beside the headline, which is always there; empty: all.
        names: names of the runs by their folders; empty: the last parts of their paths.

    Raises:
        OptionError: an unknown score.
    """
    blocks = ["% needs \\usepackage{booktabs,amssymb}"]
    for table in tables_of(comparison):
        rows = _rows(comparison, table, metrics, names)
        titles = list(rows[0])
        columns = "".join("l" if _is_text(name, table) else "c" for name in titles)
        lines = [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_line(map(_escaped, titles)),
            r"\midrule",
        ]
        for row, cells in enumerate(rows):
            bold = title_of(table.headline) if row in table.best else None
            escaped = {name: _escaped(cell) for name, cell in cells.items()}
            lines.append(_latex_line(
                [rf"\textbf{{{cell}}}" if name == bold else cell for name, cell in escaped.items()]
            ))  # fmt: skip
        blocks.append("\n".join([*lines, r"\bottomrule", r"\end{tabular}"]))
    return "\n\n".join(blocks)


def to_markdown(
    comparison: Comparison,
    *,
    metrics: Sequence[str] = (),
    names: Mapping[Path, str] = MappingProxyType({}),
) -> str:
    """Return a Markdown table for each target; see :func:`to_latex`."""
    blocks = []
    for table in tables_of(comparison):
        rows = _rows(comparison, table, metrics, names)
        titles = list(rows[0])
        rule = ["---" if _is_text(name, table) else ":-:" for name in titles]
        lines = [_markdown_line(map(_piped, titles)), f"|{'|'.join(rule)}|"]
        for row, cells in enumerate(rows):
            bold = title_of(table.headline) if row in table.best else None
            escaped = {name: _piped(cell) for name, cell in cells.items()}
            lines.append(_markdown_line(
                [f"**{cell}**" if name == bold else cell for name, cell in escaped.items()]
            ))  # fmt: skip
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _rows(
    comparison: Comparison, table: RankedTable, metrics: Sequence[str], known: Mapping[Path, str]
) -> list[dict[str, str]]:
    """Return the cells of a paper's table as text, before they are escaped.

    Columns in which all runs agree are left out, but for the name of the run.

    Raises:
        OptionError: an unknown score.
    """
    for name in metrics:
        if name not in table.scores:
            raise OptionError(plugins.unknown("score", name, table.scores))
    others = [name for name in metrics or table.scores if name != table.headline]
    names = (
        [known[run.path] for run in table.runs]
        if known
        else _short_names([str(record["run"]) for record in table.records])
    )
    rows = []
    for record, name in zip(table.records, names, strict=True):
        streams = table.streams or ("streams",)
        spread = f" ± {record['std']:.3f}" if record["seeds"] > 1 else ""
        row = {
            "run": name, "head": str(record["head"]), **{each: record[each] for each in streams},
            title_of(table.headline): f"{_digits(record[table.headline])}{spread}",
            "95 % interval": f"[{_digits(record['low'])}, {_digits(record['high'])}]",
            **{title_of(each): _digits(record[each]) for each in others},
        }  # fmt: skip
        if "transductive" in record:
            row["transductive"] = "yes" if record["transductive"] else "no"
        if comparison.baseline is not None:
            row |= _test_cells(record, comparison.baseline.correction)
        rows.append(row)
    for name in ("head", "streams"):
        if len(rows) > 1 and len({row.get(name) for row in rows}) == 1:
            for row in rows:
                row.pop(name, None)
    return rows


def _test_cells(record: Mapping[str, Any], correction: str) -> dict[str, str]:
    """Return the cells on the difference from the baseline, which itself has a dash."""
    title = "p (Holm)" if correction == "holm" else "p"
    if record["p"] is None:
        return {"difference": "–", title: "–"}
    return {"difference": f"{record['difference']:+.3f}", title: shown_p(record["p_corrected"])}


def _short_names(paths: Sequence[str]) -> list[str]:
    """Return the last parts of the paths of runs, or the whole paths if two were equal.

    >>> _short_names(["runs/a", "runs/b"]), _short_names(["x/a", "y/a"])
    (['a', 'b'], ['x/a', 'y/a'])
    """
    short = [Path(path).name or path for path in paths]
    return short if len(set(short)) == len(short) else list(paths)


def _is_text(name: str, table: RankedTable) -> bool:
    """Return whether a column is aligned to the left."""
    return name in ("run", "head", "streams") and name not in table.streams


def _latex_line(cells: Iterable[str]) -> str:
    """Return one line of a LaTeX table, of escaped cells."""
    line = " & ".join(cells)
    guard = "{}" if line.startswith("[") else ""  # behind \\, LaTeX would read [ as a length
    return rf"{guard}{line} \\"


def _markdown_line(cells: Iterable[str]) -> str:
    """Return one line of a Markdown table, of escaped cells."""
    return f"| {' | '.join(cells)} |"


def _escaped(cell: str) -> str:
    """Return a cell as LaTeX.

    >>> _escaped("a_b & 5 %"), _escaped("✓")
    ('a\\\\_b \\\\& 5 \\\\%', '\\\\checkmark')
    """
    return _CHECK if cell == CHECK else cell.translate(_ESCAPES)


def _piped(cell: str) -> str:
    """Return a cell as Markdown: characters that mean something there get a backslash."""
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", cell)


def _digits(value: float) -> str:
    """Return a score with three digits, or that it is undefined."""
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _finite(value: Any) -> Any:
    """Return a value for JSON, which has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> Any:
    """Return a cell of CSV: a float with 6 digits."""
    return f"{value:.6g}" if isinstance(value, float) else value


FORMATS_OF_TABLES = {
    "json": to_json, "csv": to_csv, "latex": to_latex, "markdown": to_markdown,
}  # fmt: skip
"""Format -> what writes it."""
