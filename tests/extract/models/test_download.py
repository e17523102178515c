"""`emo weights fetch`, with the hub and the web replaced: nothing is downloaded in a test."""

from pathlib import Path

import huggingface_hub
import pytest
import torch

from emo.errors import WeightsError
from emo.extract.models.download import fetch_missing
from emo.extract.models.weights import WeightFile, Weights, locate_weights

CONFIG, EXTRA = WeightFile(("config.json",)), WeightFile(("vocab.json",), is_optional=True)
URL = "https://example.org/releases/net.pt"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that has lab/toy with a config.json; returns what was asked of it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    asked = []

    def snapshot_download(repository, *, allow_patterns, local_dir):
        asked.append((repository, allow_patterns, local_dir))
        if repository != "lab/toy" or "config.json" not in allow_patterns:
            raise OSError("404 for this file")
        folder = local_dir or tmp_path / "hub" / "models--lab--toy" / "snapshots" / "abc"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
        if local_dir is None:
            (folder.parents[1] / "refs").mkdir(exist_ok=True)
            (folder.parents[1] / "refs" / "main").write_text("abc")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_what_is_missing_is_fetched_to_where_extract_looks(hub):
    weights = Weights("toy", "lab/toy", (CONFIG, EXTRA))
    lines = list(fetch_missing(weights))
    assert [line.split(":")[0] for line in lines] == ["fetched", "not found"]
    assert locate_weights(weights).get("config.json").read_text() == "{}"
    assert next(iter(fetch_missing(weights))).startswith("here")
    assert [patterns for _, patterns, _ in hub].count(["config.json"]) == 1


def test_a_file_from_elsewhere_goes_into_the_folder_that_was_named(hub, tmp_path):
    file = WeightFile(("config.json",), origin="lab/toy")
    weights = Weights("toy", str(tmp_path / "models"), (file,))
    list(fetch_missing(weights))
    assert locate_weights(weights).get("config.json") == tmp_path / "models" / "config.json"


def test_a_url_goes_to_torch_s_checkpoints(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda url, target: Path(target).write_text(url)
    )
    weights = Weights("toy", "net.pt", (WeightFile(("net.pt",), origin=URL),))
    list(fetch_missing(weights))
    assert locate_weights(weights).get("net.pt").read_text() == URL


def test_no_internet_is_one_error_that_names_the_file(hub):
    with pytest.raises(WeightsError, match=r"toy: config.json could not be downloaded: 404"):
        list(fetch_missing(Weights("toy", "lab/other", (CONFIG,))))


def test_a_folder_that_nobody_serves_is_said(hub, tmp_path):
    with pytest.raises(WeightsError, match="is a local folder"):
        list(fetch_missing(Weights("toy", str(tmp_path), (CONFIG,))))


def test_a_hub_out_of_reach_that_gives_an_old_folder_is_no_success(hub, monkeypatch, tmp_path):
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path / "hub")
    )
    weights = Weights("toy", "lab/toy", (EXTRA, CONFIG))
    lines = fetch_missing(weights)
    assert next(lines).startswith("not found: vocab.json")
    with pytest.raises(
        WeightsError, match=r"config.json could not be downloaded: lab/toy gave no such file"
    ):
        next(lines)
