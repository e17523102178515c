"""Tables of other encodings, and spreadsheets with decimal commas."""

import os

import pytest

from emo.errors import ManifestError
from emo.manifest import read_manifest
from emo.manifest.folder import folder_rows
from emo.manifest.rows import read_rows
from emo.manifest.tables.numerals import read_numerals

CHINESE = "text,label\n我今天很开心,高兴\n你为什么生气?,生气\n"


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [(CHINESE, "gbk", "gb18030"), (CHINESE, "gb18030", "gb18030"),
     ("text,label\n我們今天很開心,高興\n你為什麼生氣,生氣\n", "big5", "big5"),
     ("text,label\n오늘 정말 기뻐요,기쁨\n왜 화가 났어요,분노\n", "euc_kr", "euc-kr"),
     ("text,label\nとてもうれしいです,うれしい\n", "shift_jis", "shift_jis"),
     ("text,label\nとてもうれしいです,うれしい\n", "euc_jp", "euc-jp"),
     ("text,label\nça va très bien à Noël,joie\n", "cp1252", "cp1252"),
     ("text,label\nNaïve fée,peur\nGrüße aus Köln,Ärger\n", "latin-1", "cp1252"),
     ("text,label\nça va très bien à Noël,colère\n", "mac-roman", "macintosh"),
     ("text,label\nhi,joy\n", "utf-32", "utf-32"), (CHINESE, "utf-32", "utf-32"),
     ("text,label\nhi,joy\n", "utf-32-le", "utf-32le"),
     ("text,label\nhi,joy\n", "utf-32-be", "utf-32be"),
     ("text,label\nhi,joy\n", "utf-16", "utf-16"), (CHINESE, "utf-16", "utf-16"),
     ("text,label\nhi,joy\n", "utf-16-le", "utf-16le"),
     ("text,label\nhi,joy\n", "utf-16-be", "utf-16be")],
)  # fmt: skip
def test_the_encoding_that_fits_is_named(tmp_path, text, encoding, named):
    path = tmp_path / "m.csv"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(ManifestError, match=f"save it as UTF-8 .*iconv -f {named} -t utf-8 m.csv"):
        read_rows(path)


@pytest.mark.parametrize("encoding", ["mac-roman", "cp1252"])
def test_bytes_of_two_encodings_are_said_to_be_so(tmp_path, encoding):
    path = tmp_path / "m.csv"
    path.write_bytes("text,label\n“ça va”,colère\n".encode(encoding))
    with pytest.raises(ManifestError, match=r"one-byte encoding such as .* see whether the "):
        read_rows(path)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "\ufeffsep=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_excels_line_with_the_separator_is_read(tmp_path, first, end):
    path = tmp_path / "m.csv"
    path.write_bytes(end.join([first, "text;label", "hi;a", "ho;b", ""]).encode())
    rows = read_rows(path)
    assert rows.columns == {"text": ["hi", "ho"], "label": ["a", "b"]}
    assert rows.origins == ["row 3", "row 4"]
    path.write_text("sep=|\ntext|label\nhi, you|a;b\n")
    assert read_rows(path).columns == {"text": ["hi, you"], "label": ["a;b"]}


def test_decimal_commas_beside_semicolons_are_numbers(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(
        "text;start_seconds;end_seconds;label;cause;audio\n"
        "1,5;1,5;2,75;-0,6;1,3;x.wav\nso;;3;1;2;x.wav\n"
    )
    first, second = read_manifest(path).clips
    assert (first.text, first.start_seconds, first.end_seconds) == ("1,5", 1.5, 2.75)
    assert [clip.targets for clip in (first, second)] == [
        {"label": "-0.6", "cause": "1,3"}, {"label": "1", "cause": "2"},
    ]  # fmt: skip
    path.write_text("text;label\nhi;0,5\nho;yes, no\n")
    assert read_rows(path).columns["label"] == ["0,5", "yes, no"]


def test_linked_folders_are_followed_once_and_loops_are_cut(tmp_path):
    media, elsewhere = tmp_path / "media", tmp_path / "elsewhere"
    for folder in (media / "z", elsewhere / "deep"):
        folder.mkdir(parents=True)
    (media / "z" / "a.wav").touch()
    (elsewhere / "b.wav").touch()
    (elsewhere / "deep" / "c.wav").touch()
    for link, target in {"linked": elsewhere, "again": media / "z", "loop": media}.items():
        os.symlink(target, media / link)
    os.symlink(elsewhere, elsewhere / "deep" / "up")
    os.symlink(tmp_path / "gone", media / "broken")
    rows = folder_rows(media)
    assert rows.columns["audio"] == ["linked/b.wav", "linked/deep/c.wav", "z/a.wav"]
    assert rows.columns["folder"] == ["linked", "linked/deep", "z"]


@pytest.mark.parametrize(
    ("cells", "read", "said"),
    [
        (["\u22120.6", "0.6", "\u20131"], ["-0.6", "0.6", "-1"], "'\u22120.6' as -0.6"),
        (["1.234,5", "0,5", "1.000"], ["1234.5", "0.5", "1000"], "'1.234,5' as 1234.5"),
        (["1,234.5", "0.5", "1,000"], ["1234.5", "0.5", "1000"], "'1,234.5' as 1234.5"),
        (["1,234,567", "2,000", "3"], ["1234567", "2000", "3"], "separated thousands"),
        (["1\u202f234,5", "1’234", "2"], ["1234.5", "1234", "2"], "separated thousands"),
        (["\u22120.6", "nan", "0.6"], ["-0.6", "nan", "0.6"], "other minus signs"),
        (["1.234", "0.5", "2"], None, ""), (["1,234", "2", "3"], None, ""),
        (["1.234,5", "0.5", "2"], None, ""), (["1.234,5", "1,234.5", "2"], None, ""),
        (["60%", "10%", "5%"], None, ""), (["joy", "\u22121", "sad"], None, ""),
        (["1_000", "2"], None, ""), ([], None, ""),
    ],
)  # fmt: skip
def test_numbers_in_another_writing_are_read_where_they_have_one_meaning(cells, read, said):
    found, note = read_numerals("label", cells, has_decimal_commas=False)
    assert found == (read or cells)
    assert said in note
    assert bool(note) == (read is not None)
    assert read_numerals("text", cells, has_decimal_commas=False) == (cells, "")


def test_a_semicolon_table_has_decimal_commas_and_a_word_for_nothing(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("text;label\na;0,5\nb;1.234,5\nc;−2\nd;nan\n")
    rows = read_rows(path)
    assert rows.columns["label"] == ["0.5", "1234.5", "-2", "nan"]
    assert rows.number_notes["label"].count("were read") == 3
