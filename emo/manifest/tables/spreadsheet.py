"""Read a sheet of an Excel file (.xlsx) as text cells.

Every cell is written as a person sees its value: 1.0 as ``1``, a date as ``2024-01-31``, a time as
``00:00:01.500``. What has no certain value (merged cells, formulas that were never computed) is an
error that names the cell.
"""

import datetime
import hashlib
import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emo.errors import ManifestError, listed
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.machine.untrusted.xml import check_no_doctype
from emo.manifest.tables.text_table import TextTable, check_header

MOST_FILE_BYTES = 2**27
"""Largest .xlsx file that is read."""
MOST_UNPACKED_BYTES = 2**28
"""Largest size of the cells and texts of all sheets, unpacked."""
MOST_OTHER_BYTES = 2**25
"""Largest size of all other members, such as styles, unpacked."""
MOST_SHEET_CELLS = 20_000_000
"""Most cells of a sheet, empty ones within its rows included."""
_OTHERS = (".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
_CELLS = ("xl/worksheets/", "xl/sharedStrings")
_SHEET = re.compile(r"(.*\.xlsx)#(.*)", re.IGNORECASE | re.DOTALL)
_ZEROS = re.compile(r"0+")


def sheet_of(path: Path) -> tuple[Path, str | None] | None:
    """Split ``file.xlsx#Sheet`` into the file and the name of the sheet (None: the first filled).

    Returns:
        None: the path names no .xlsx file.

    Raises:
        ManifestError: the path names a spreadsheet of another kind.
    """
    named = None if path.exists() else _SHEET.fullmatch(str(path))
    file, sheet = named.groups() if named else (str(path), None)
    kind = Path(file).suffix.lower()
    if kind in _OTHERS:
        raise ManifestError(f"{file}: {kind} files are not read; save the sheet as .xlsx or .csv")
    return (Path(file), sheet) if kind == ".xlsx" else None


def table_file(path: Path) -> Path:
    """Return the file of a table: ``m.xlsx`` for ``m.xlsx#Sheet``, else the path itself."""
    spreadsheet = sheet_of(path)
    return spreadsheet[0] if spreadsheet else path


def table_sha256(path: Path, data: bytes) -> str:
    """Return the SHA-256 of a table's bytes; the name of a sheet, where it is given, counts too."""
    spreadsheet = sheet_of(path)
    sheet = spreadsheet[1] if spreadsheet else None
    return hashlib.sha256(data if sheet is None else data + f"#{sheet}".encode()).hexdigest()


def read_sheet(
    path: Path, sheet: str | None = None
) -> tuple[bytes, list[str], list[list[str]], list[str]]:
    """Read the first sheet that is not empty, or the one of this name.

    Args:
        path: the .xlsx file.
        sheet: name of the sheet; None: the first that holds a cell.

    Returns:
        The file's bytes, the cells of the first row that is not empty (the header), the cells of
        all rows below that are not empty, each as long as the header, and their positions, such as
        ``row 3``.

    Raises:
        ManifestError: the file is no .xlsx, is too large, has no such sheet, or a cell has no
            certain value.
    """
    try:
        data = read_regular(path, most_bytes=MOST_FILE_BYTES, follow_links=True)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    except UnfitFileError as error:
        raise ManifestError(f"{path}: {error}") from error
    has_formulas = _check_members(data, path)
    book = _open(data, path)
    found = _choose(book, sheet, path)
    where = f"{path}, sheet {found.title!r}"
    _check_merged(data, found, where)
    if has_formulas:
        _check_formulas(found, _open(data, path, is_computed=False)[found.title], where)
    return data, *_table(found, where)


def _check_members(data: bytes, path: Path) -> bool:
    """Check the zip file before anything is unpacked; return whether a sheet holds formulas."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise ManifestError(
            f"{path}: it is protected by a password, or an old .xls file; save it without a "
            "password as .xlsx or .csv"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_sizes(archive, path)
            has_formulas = False
            for member in archive.infolist():
                if _is_xml(member.filename):
                    with archive.open(member) as file:
                        check_no_doctype(file)
                    if member.filename.startswith("xl/worksheets/"):
                        has_formulas |= (
                            re.search(rb"<(\w+:)?f[ >/]", archive.read(member)) is not None
                        )
            return has_formulas
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise ManifestError(f"{path}: not an Excel file (.xlsx): {error}") from error


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise ManifestError when the members are too large; no more than stated is unpacked."""
    members = archive.infolist()
    cells = [each for each in members if each.filename.startswith(_CELLS)]
    xml = [each for each in members if _is_xml(each.filename)]
    others = [each for each in xml if not each.filename.startswith(_CELLS)]
    for found, most in ((cells, MOST_UNPACKED_BYTES), (others, MOST_OTHER_BYTES)):
        size = sum(each.file_size for each in found)
        if size > most:
            raise ManifestError(
                f"{path}: unpacked it has {size:,} bytes of "
                f"{'cells' if found is cells else 'styles and the like'}; at most {most:,} are "
                "read. Save the sheet as .csv"
            )


def _is_xml(name: str) -> bool:
    """Return whether a member is XML, which openpyxl may read."""
    return name.endswith((".xml", ".rels"))


def _open(data: bytes, path: Path, *, is_computed: bool = True) -> Any:
    """Open the workbook; ``is_computed``: cells of formulas hold their stored results."""
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and extensions that openpyxl does not keep
            return openpyxl.load_workbook(
                io.BytesIO(data), read_only=True, data_only=is_computed, keep_links=False
            )
    except Exception as error:  # openpyxl raises what the damaged part happens to cause
        raise ManifestError(f"{path}: not an Excel file (.xlsx): {error}") from error


def _choose(book: Any, sheet: str | None, path: Path) -> Any:
    """Return the sheet of this name, or the first that holds a cell."""
    names = [each.title for each in book.worksheets]
    if sheet is not None:
        if sheet not in names:
            raise ManifestError(
                f"{path} has no sheet {sheet!r}; found {listed([repr(name) for name in names])}"
            )
        return book[sheet]
    for each in book.worksheets:
        if next(_rows(each, str(path)), None) is not None:
            return each
    raise ManifestError(f"{path}: all sheets are empty; expected a header and a row for each clip")


def _rows(sheet: Any, where: str) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield the number and the cells of each row that is not empty."""
    sheet.reset_dimensions()  # the size that the file states may be wrong, or a billion cells
    cells = 0
    try:
        for number, row in enumerate(sheet.iter_rows(), start=1):
            cells += len(row)
            if cells > MOST_SHEET_CELLS:
                raise ManifestError(
                    f"{where}: more than {MOST_SHEET_CELLS:,} cells; save it as .csv"
                )
            if any(cell.value is not None and cell.value != "" for cell in row):
                yield number, row
    except (ValueError, KeyError, TypeError, SyntaxError, zipfile.BadZipFile, EOFError) as error:
        raise ManifestError(f"{where}: row cannot be read: {error}") from error


def _table(sheet: Any, where: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the header, the rows below and their positions."""
    header: list[str] = []
    lines, origins = [], []
    for number, row in _rows(sheet, where):
        texts = [_text(cell, where) for cell in row]
        while texts and not texts[-1].strip():
            texts.pop()
        if not header:
            header = [text.strip() for text in texts]
        elif len(texts) > len(header):
            raise ManifestError(
                f"{where}, row {number}: expected {len(header)} cells as in the header, got "
                f"{len(texts)}"
            )
        elif texts:
            lines.append(texts + [""] * (len(header) - len(texts)))
            origins.append(f"row {number}")
    return header, lines, origins


def _text(cell: Any, where: str) -> str:
    """Return the value of a cell as text."""
    value = cell.value
    if value is None or isinstance(value, str):
        if cell.data_type == "e" and value != "#N/A":
            raise ManifestError(f"{where}, cell {cell.coordinate}: the error {value}; mend it")
        return value or ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        is_day = value.time() == datetime.time()
        return value.date().isoformat() if is_day else value.isoformat(sep=" ")
    if isinstance(value, datetime.timedelta):
        return _clock(value)
    if isinstance(value, datetime.time):
        return value.isoformat("milliseconds" if value.microsecond else "seconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    is_whole = isinstance(value, int) or (value.is_integer() and abs(value) < 2**53)
    if is_whole and _ZEROS.fullmatch(cell.number_format or "") and value >= 0:
        return str(int(value)).zfill(len(cell.number_format))  # a format such as 000 for ids
    return str(int(value)) if is_whole else repr(value)


def _clock(duration: datetime.timedelta) -> str:
    """Return a duration as ``hh:mm:ss.mmm``.

    >>> _clock(datetime.timedelta(seconds=3661.5)), _clock(datetime.timedelta(seconds=2))
    ('01:01:01.500', '00:00:02')
    """
    thousandths = round(duration / datetime.timedelta(milliseconds=1))
    seconds, rest = divmod(thousandths, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{rest:03}" if rest else text


def _check_merged(data: bytes, sheet: Any, where: str) -> None:
    """Raise ManifestError when cells of the sheet are merged: only one of them has a value."""
    name = str(getattr(sheet, "_worksheet_path", "")).lstrip("/")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = archive.read(name) if name in archive.namelist() else b""
    found = [
        each.decode("ascii", "replace") for each in re.findall(rb"mergeCell ref=\"([^\"]*)\"", text)
    ]
    if found:
        raise ManifestError(
            f"{where}: merged cells {listed(found)}; only the first of them holds the value: "
            "unmerge them and fill each"
        )


def _check_formulas(values: Any, formulas: Any, where: str) -> None:
    """Raise ManifestError for a formula without a stored result."""
    stored = {
        cell.coordinate for _, row in _rows(values, where) for cell in row if cell.value is not None
    }
    for _, row in _rows(formulas, where):
        for cell in row:
            if cell.data_type == "f" and cell.coordinate not in stored:
                raise ManifestError(
                    f"{where}, cell {cell.coordinate}: a formula without a stored result; open the "
                    "file in Excel or LibreOffice and save it, or save the sheet as .csv"
                )


def excel_table(path: Path, file: Path, sheet: str | None) -> TextTable:
    """Read a sheet of an Excel file; columns without a name are left out, as those of CSV are."""
    data, header, lines, origins = read_sheet(file, sheet)
    check_header(header, path)
    cells = list(zip(*lines, strict=True)) or [()] * len(header)
    columns = {name: list(column) for name, column in zip(header, cells, strict=True) if name}
    return TextTable(columns, origins, table_sha256(path, data))
