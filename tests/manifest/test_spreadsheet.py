"""Excel files are read wherever a table is, each cell as a person sees it."""

import datetime
import io
import zipfile

import openpyxl
import pytest
from openpyxl.utils import get_column_letter

from emo.errors import ManifestError
from emo.heads.runs.files import kept_columns
from emo.manifest import read_manifest
from emo.manifest.rows import read_rows
from emo.manifest.tables import spreadsheet


def write(path, *rows, title="Sheet", book=None):
    sheet = book.create_sheet() if book else (book := openpyxl.Workbook()).active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    book.save(path)
    return book


def replaced(path, member, old, new):
    """Change the text of a member of the zip file."""
    data = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(data) as old_zip, zipfile.ZipFile(path, "w") as new_zip:
        for each in old_zip.namelist():
            text = old_zip.read(each)
            new_zip.writestr(each, text.replace(old, new) if each == member else text)


def test_each_value_is_written_as_people_see_it(tmp_path):
    path = tmp_path / "m.xlsx"
    values = {
        "text": "None", "id": 1.0, "take": 3, "share": 0.1, "is_loud": True, "none": None,
        "day": datetime.date(2024, 1, 31), "moment": datetime.datetime(2024, 1, 31, 12, 30),
        "start_seconds": datetime.time(0, 0, 1, 500_000),
        "end_seconds": datetime.timedelta(seconds=62.25), "code": "007", "na": "#N/A",
    }  # fmt: skip
    book = write(path, [*values], [*values.values()])
    book.active["C2"].number_format = "000"
    book.active["J2"].number_format = "[h]:mm:ss.000"
    book.save(path)
    found = {name: cells[0] for name, cells in read_rows(path).columns.items()}
    assert found == {
        "text": "None", "id": "1", "take": "003", "share": "0.1", "is_loud": "true", "none": "",
        "day": "2024-01-31", "moment": "2024-01-31 12:30:00", "start_seconds": "00:00:01.500",
        "end_seconds": "00:01:02.250", "code": "007", "na": "#N/A",
    }  # fmt: skip
    (clip,) = read_manifest(path).clips
    assert (clip.start_seconds, clip.end_seconds) == (1.5, 62.25)


def test_blank_rows_and_columns_do_not_count(tmp_path):
    path = tmp_path / "m.xlsx"
    write(path, [], ["text", "label", None], [], ["a", "joy", None], ["b"], [None, " "], [""])
    table = read_rows(path)
    assert table.columns == {"text": ["a", "b"], "label": ["joy", ""]}
    assert table.origins == ["row 4", "row 5"]
    assert len(table.sha256) == 64


def test_the_first_filled_sheet_is_read_or_the_one_that_is_named(tmp_path):
    path = tmp_path / "m.xlsx"
    book = write(path, ["text"], ["a"], title="Clips")
    write(path, ["text"], ["b"], title="Other clips", book=book)
    book.create_sheet("Empty", 0)
    book.save(path)
    assert read_rows(path).columns == {"text": ["a"]}
    assert read_rows(tmp_path / "m.xlsx#Other clips").columns == {"text": ["b"]}
    (tmp_path / "a#1").mkdir()
    path.rename(tmp_path / "a#1/M#2.XLSX")
    path = tmp_path / "a#1/M#2.XLSX"
    assert read_rows(path).columns == {"text": ["a"]}
    assert read_rows(path.with_name("M#2.XLSX#Other clips")).columns == {"text": ["b"]}
    with pytest.raises(ManifestError, match="no sheet 'X'; found 'Empty', 'Clips', 'Other clips'"):
        read_rows(path.with_name("M#2.XLSX#X"))


def test_what_has_no_certain_value_is_named(tmp_path):
    path = tmp_path / "m.xlsx"
    book = write(path, ["text", "label"], ["a", "joy"], ["b", "=B2"])
    with pytest.raises(ManifestError, match=r"sheet 'Sheet', cell B3: a formula without a stored"):
        read_rows(path)
    replaced(path, "xl/worksheets/sheet1.xml", b"<f>B2</f><v />", b"<f>B2</f><v>7</v>")
    assert read_rows(path).columns["label"] == ["joy", "7"]
    book.active["B3"] = None
    book.active.merge_cells("B2:B3")
    book.save(path)
    with pytest.raises(ManifestError, match=r"merged cells B2:B3; .* unmerge them"):
        read_rows(path)
    book.active.unmerge_cells("B2:B3")
    book.active["B3"] = "#DIV/0!"
    book.save(path)
    with pytest.raises(ManifestError, match=r"cell B3: the error #DIV/0!"):
        read_rows(path)
    book.active["B3"], book.active["C3"] = "joy", "more"
    book.save(path)
    with pytest.raises(ManifestError, match=r"row 3: expected 2 cells as in the header, got 3"):
        read_rows(path)


def test_files_that_are_no_xlsx_are_named(tmp_path):
    path = tmp_path / "m.xlsx"
    path.write_bytes(b"text\na\n")
    with pytest.raises(ManifestError, match="not an Excel file"):
        read_rows(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100))
    with pytest.raises(ManifestError, match="protected by a password, or an old"):
        read_rows(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(ManifestError, match="not an Excel file"):
        read_rows(path)
    (tmp_path / "m.ods").touch()
    with pytest.raises(ManifestError, match=r"\.ods files are not read; save the sheet as"):
        read_rows(tmp_path / "m.ods")
    with pytest.raises(ManifestError, match="no such file"):
        read_rows(tmp_path / "none.xlsx")


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "m.xlsx"
    write(path, ["text"], ["a"])
    member = "xl/worksheets/sheet1.xml"
    replaced(path, member, b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet')
    with pytest.raises(ManifestError, match="document type"):
        read_rows(path)
    write(path, ["text"], ["a"])
    replaced(path, member, b'ref="A1:A2"', b'ref="A1:XFD1048576"')
    with monkeypatch.context() as patch:
        patch.setattr(spreadsheet, "MOST_SHEET_CELLS", 100)
        assert read_rows(path).columns == {"text": ["a"]}
    far = f"{get_column_letter(16384)}2".encode()
    replaced(path, member, b'r="A2"', b'r="' + far + b'"')
    with pytest.raises(ManifestError, match="expected 1 cells as in the header, got 16384"):
        read_rows(path)
    write(path, ["text"], *[["a"]] * 30)
    monkeypatch.setattr(spreadsheet, "MOST_SHEET_CELLS", 20)
    with pytest.raises(ManifestError, match="more than 20 cells"):
        read_rows(path)
    for name, what in (("OTHER", "styles and the like"), ("UNPACKED", "cells")):
        monkeypatch.setattr(spreadsheet, f"MOST_{name}_BYTES", 1000)
        with pytest.raises(ManifestError, match=rf"bytes of {what}; at most 1,000 are read"):
            read_rows(path)


def test_scores_are_read_from_excel(tmp_path, emo):
    book = write(tmp_path / "gold.xlsx", ["id", "label"], ["a", "joy"], ["b", "joy"])
    write(tmp_path / "gold.xlsx", ["id", "label"], ["a", "joy"], ["b", "sad"], title="2", book=book)
    (tmp_path / "in").mkdir()
    write(tmp_path / "in/p.xlsx", ["id", "prediction"], ["a", "joy"], ["b", "joy"])
    (tmp_path / "in/~$p.xlsx").write_bytes(b"open in Excel")
    for words, score in [
        (["in/p.xlsx", "--gold", "gold.xlsx"], "1.000"),
        (["in/p.xlsx#Sheet", "--gold", "gold.xlsx#2"], "0.500"),
        (["in", "--gold", "gold.xlsx#2"], "0.500"),
    ]:
        code, out, err = emo("score", *words, "--metric", "accuracy")
        assert code == 0, err
        assert score in out
        assert "~$" not in out
    assert emo("score", "in/none.xlsx#Sheet", "--gold", "gold.xlsx")[0] == 1


def test_two_sheets_of_one_file_are_two_manifests(tmp_path):
    path = tmp_path / "m.xlsx"
    book = write(path, ["text", "Emotion"], ["a", "joy"], title="One")
    write(path, ["text", "Emotion"], ["b", "sad"], title="Two", book=book)
    hashes = {name: read_rows(tmp_path / f"m.xlsx{name}").sha256 for name in ("", "#One", "#Two")}
    assert len({*hashes.values()}) == 3
    own = {"columns": {"label": "Emotion"}, "sha256": hashes["#Two"]}
    assert kept_columns({"manifest": own}, tmp_path / "m.xlsx#Two") == {"label": "Emotion"}
    assert kept_columns({"manifest": own}, tmp_path / "m.xlsx#One") == {}
