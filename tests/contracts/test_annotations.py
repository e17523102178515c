"""What every format of annotations must do; a new file in the library is tested by itself."""

import os

import pytest

from emo import plugins
from emo.errors import ManifestError
from emo.manifest.annotations import format as contract
from emo.manifest.annotations.files import load_format
from tests.manifest.annotation_files import EXPECTED, SAMPLES

NAMES = plugins.available(plugins.ANNOTATIONS)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def file(name, tmp_path):
    assert name in SAMPLES, f"write a small file of {name} in tests/manifest/annotation_files.py"
    path = tmp_path / f"rec{load_format(name).extensions[0]}"
    SAMPLES[name](path)
    return path


def read(kind, file):
    """The stretches of a file, or the error."""
    try:
        return kind.read(file).stretches, None
    except ManifestError as error:
        return [], str(error)


def test_stretches_are_read_to_the_millisecond(name, file):
    found = load_format(name).read(file).stretches
    said = [(each.start_ms, each.end_ms, each.value or each.speaker) for each in found]
    assert [each for each in said if each[2]] == EXPECTED


@pytest.mark.parametrize("data", [b"", b"\0\1\2", b"nothing of this kind\n", b"\xff\xfeA\0"])
def test_other_files_are_refused_in_a_line(name, file, data):
    file.write_bytes(data)
    found, error = read(load_format(name), file)
    assert not found
    assert error is None or (str(file) in error and "\n" not in error)


def test_a_cut_file_is_refused_or_read_in_part(name, file):
    whole, kind = file.read_bytes(), load_format(name)
    for end in range(0, len(whole), max(1, len(whole) // 40)):
        file.write_bytes(whole[:end])
        found, error = read(kind, file)
        assert str(file) in error if error else len(found) <= 2 * len(EXPECTED) + 1


def test_only_regular_files_of_bounded_size_are_read(name, file, monkeypatch):
    if name == "times":
        pytest.skip("tables have bounds of their own")
    monkeypatch.setattr(contract, "MOST_ANNOTATION_BYTES", 10)
    with pytest.raises(ManifestError, match="at most 10 are read"):
        load_format(name).read(file)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ManifestError, match="a pipe, not a regular file"):
        load_format(name).read(file)


def test_the_help_names_every_format(emo, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = emo("manifest", "annotations", "--help")
    words = out.replace(",", " ").split()
    assert {*NAMES} <= {*words, *(word.rstrip(";") for word in words)}
