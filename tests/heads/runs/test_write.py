"""Writing a run: errors name the right cause, and no file is left behind."""

import pytest

import emo.heads.fitting.fit as fitting
from emo.errors import FitError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.runs.write import run_folder
from tests.make_batches import learnable, make_manifest, make_store


def test_what_goes_wrong_while_fitting_is_not_blamed_on_the_run(tmp_path):
    with (
        pytest.raises(OSError, match="Stale file handle: 'features'"),
        run_folder(tmp_path / "run"),
    ):
        raise OSError(116, "Stale file handle", "features")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_while_writing_names_the_run(tmp_path, monkeypatch):
    labels, tokens = learnable(30)
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest(labels, split=["train"] * 20 + ["val"] * 10)

    def full(folder, result):
        (folder / "predictions.csv").write_text("id\n")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fitting, "write_run", full)
    with pytest.raises(FitError, match="run cannot be written: No space left"):
        fit_head(
            manifest,
            [store],
            tmp_path / "run",
            FitOptions.of(head="mean_pool", epochs=1, threads=1),
        )
    assert {path.name for path in tmp_path.iterdir()} == {"features", ".run.fit"}
