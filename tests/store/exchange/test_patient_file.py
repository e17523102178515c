"""A failed write is told after the library has closed what it had open, not in its midst."""

import errno
import os

import h5py
import numpy as np
import pytest

from emo.errors import StoreError
from emo.store.exchange import patient_file
from emo.store.exchange.patient_file import PatientFile
from emo.store.exchange.transfer import export_file
from tests.make_batches import learnable, make_store


@pytest.fixture
def full_disk(monkeypatch):
    """Let all writes after the first ``left`` fail."""

    def fill(left, code=errno.ENOSPC):
        real, counter = os.pwrite, iter(range(left))

        def pwrite(*words):
            if next(counter, None) is None:
                raise OSError(code, os.strerror(code))
            return real(*words)

        monkeypatch.setattr(patient_file.os, "pwrite", pwrite)

    return fill


def test_what_was_written_is_read(tmp_path):
    with PatientFile(tmp_path / "a.h5") as disk, h5py.File(disk, "w") as file:
        file["x"] = np.arange(5000)
        disk.check()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"][:].tolist() == list(range(5000))


def test_what_is_written_after_an_error_is_read_too(tmp_path, full_disk):
    full_disk(1)
    with PatientFile(tmp_path / "a") as disk:
        assert disk.write(b"abcdef") == 6
        disk.seek(2)
        disk.write(b"XY")
        disk.seek(8)
        disk.write(b"Z")
        disk.seek(1)
        assert disk.read(20) == b"bXYef\0\0Z"
        with pytest.raises(OSError, match="No space left"):
            disk.check()


@pytest.mark.parametrize("left", [0, 1, 3, 7, 11])
def test_an_export_is_one_line_whichever_write_fails(tmp_path, full_disk, capfd, left):
    make_store(tmp_path / "s", learnable(9)[1])
    full_disk(left, errno.EIO)
    with pytest.raises(StoreError, match=r"x\.h5 cannot be written: Input/output error"):
        export_file("hdf5", tmp_path / "s", tmp_path / "x.h5")
    assert not (tmp_path / "x.h5").exists()
    assert capfd.readouterr().err == ""  # HDF5 prints there what Python cannot raise
