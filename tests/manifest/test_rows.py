import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.errors import ManifestError
from emo.manifest.rows import EXTENSIONS, read_rows
from emo.manifest.write import write_rows

# utf-8 text; a wholly blank row is no row
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TABLES = st.lists(st.tuples(st.integers(0, 9).map(str), CELLS), max_size=5)


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_what_is_written_is_read(tmp_path_factory, kind):
    @settings(deadline=None, max_examples=50)  # a busy disk is no fault
    @given(TABLES)
    def round_trip(lines):
        path = tmp_path_factory.mktemp("rows") / f"m{kind}"
        columns = {"a": [a for a, _ in lines], "text": [text for _, text in lines]}
        write_rows(path, columns)
        if lines or kind not in (".jsonl", ".ndjson"):  # JSONL has no header
            assert read_rows(path).columns == columns

    round_trip()


def test_rows_are_numbered_as_a_spreadsheet_does(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text('a,b\n1,"x\ny"\n\n2,z\n')
    assert read_rows(path).origins == ["row 2", "row 4"]


def test_an_unnamed_column_is_left_out(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(',text\n0,"yes"\n1,no\n')
    assert read_rows(path).columns == {"text": ["yes", "no"]}


def test_writing_never_replaces_another_content(tmp_path):
    path = tmp_path / "m.csv"
    write_rows(path, {"a": ["1"]})
    write_rows(path, {"a": ["1"]})
    with pytest.raises(ManifestError, match="exists and differs"):
        write_rows(path, {"a": ["2"]})
    assert path.read_text() == "a\n1\n"
    assert os.listdir(tmp_path) == ["m.csv"]


def test_a_manifest_is_readable_as_any_other_file(tmp_path):
    write_rows(tmp_path / "m.csv", {"a": ["1"]})
    (tmp_path / "plain").write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("m.csv", "plain")}
    assert len(modes) == 1


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ManifestError, match="does not exist"):
        write_rows(tmp_path / "none" / "m.csv", {"a": ["1"]})
