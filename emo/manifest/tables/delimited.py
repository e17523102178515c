"""Parse CSV and TSV, also as Excel writes them: with `sep=`, or semicolons between cells."""

import csv
import io
import re
from pathlib import Path

from emo.errors import ManifestError
from emo.manifest.tables.text_table import check_header


def parse_delimited(
    text: str, path: Path, *, is_tsv: bool
) -> tuple[dict[str, list[str]], list[str], bool]:
    """Parse CSV or TSV.

    Returns:
        Column -> cells, the position of each row, and whether semicolons separate the cells.
    """
    stated = re.match(r'"?sep=([^\r\n"])"?(\r\n|\n|\r|$)', text)  # Excel's first line
    body = text[stated.end() :] if stated else text
    first = body.partition("\n")[0]
    semicolons = ";" in first and "," not in first  # Excel, in countries that write 1,5
    delimiter = stated[1] if stated else "\t" if is_tsv else ";" if semicolons else ","
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    skipped = 1 if stated else 0
    number, lines, origins = skipped, [], []
    try:
        for number, line in enumerate(reader, start=1 + skipped):
            if number == 1 + skipped or any(line):
                lines.append(line)
                origins.append(f"row {number}")
    except csv.Error as error:
        raise ManifestError(
            f"{path}: row {number + 1}: {error}; a cell with a separator, a quote or a line break "
            "must be in double quotes, and a quote in it must be doubled"
        ) from error
    header = [name.strip() for name in lines[0]] if lines else []
    check_header(header, path)
    for line, origin in zip(lines, origins, strict=True):
        if len(line) != len(header):
            raise ManifestError(
                f"{path}: {origin}: expected {len(header)} cells as in the header, got {len(line)}"
            )
    cells = list(zip(*lines[1:], strict=True)) or [()] * len(header)
    named = zip(header, cells, strict=True)
    columns = {name: list(column) for name, column in named if name}
    return columns, origins[1:], delimiter == ";"
