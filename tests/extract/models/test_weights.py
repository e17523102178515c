"""Finding, hashing and reading weights; what an error says."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from emo.errors import WeightsError
from emo.extract.models.download import weights_of
from emo.extract.models.tensor_files.checkpoint import fill, read_tensor, read_tensors
from emo.extract.models.weights import WeightFile, Weights, candidates_of, locate_weights

FILES = (WeightFile(("model.safetensors", "pytorch_model.bin")), WeightFile(("config.json",)))


def wanted(source, *more):
    return Weights("toy", str(source), (*FILES, *more))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    save_file({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"width": 3}))
    return folder


def test_files_are_found_in_a_folder_whichever_name_they_have(folder):
    found = locate_weights(wanted(folder))
    assert found.get("pytorch_model.bin") == folder / "model.safetensors"
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert locate_weights(wanted(folder)).get("model.safetensors") == folder / "pytorch_model.bin"


def test_what_is_missing_is_named_with_the_place_and_the_command(folder, monkeypatch, tmp_path):
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"missing config.json\n.*looked in .*toy") as caught:
        locate_weights(wanted(folder))
    assert "weights fetch" not in str(caught.value)  # a folder is on no hub
    assert "-o weights=DIR" in str(caught.value)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    with pytest.raises(WeightsError, match=r"models--lab--toy\n.*emo weights fetch toy -o "):
        locate_weights(wanted("lab/toy"))


@pytest.mark.parametrize(
    ("plugin", "option", "words"),
    [
        ("hf", "model=openai/whisper-tiny.en", "whisper-tiny-en"),
        ("whisper-tiny-en", None, "whisper-tiny-en"),
        ("hf", "weights=lab/toy", "hf -o model=lab/toy"),
        ("openclip", "weights=lab/toy", "openclip -o weights=lab/toy"),
        ("hf", None, "hf"),
    ],
)
def test_the_command_that_fetches_asks_for_the_same_files(plugin, option, words):
    wanted = weights_of(plugin, [option] if option else [])
    assert wanted.fetch_command == f"emo weights fetch {words}"
    name, _, given = words.partition(" -o ")
    assert weights_of(name, [given] if given else []) == wanted


def test_a_hub_id_is_found_in_the_own_folder_and_in_the_cache(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("EMO_WEIGHTS", str(tmp_path / "models"))
    (tmp_path / "models" / "lab").mkdir(parents=True)
    folder.rename(tmp_path / "models" / "lab" / "toy")
    in_own = locate_weights(wanted("lab/toy")).digest
    monkeypatch.delenv("EMO_WEIGHTS")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    cache = tmp_path / "hub" / "models--lab--toy"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc\n")
    (cache / "snapshots").mkdir()
    (tmp_path / "models" / "lab" / "toy").rename(cache / "snapshots" / "abc")
    assert locate_weights(wanted("lab/toy")).digest == in_own
    assert candidates_of("lab/toy")[-1] == cache / "snapshots" / "abc"


def test_the_hash_is_of_the_contents_and_not_of_the_path(folder, tmp_path):
    first = locate_weights(wanted(folder)).digest
    moved = folder.rename(tmp_path / "elsewhere")
    assert locate_weights(wanted(moved)).digest == first
    (moved / "config.json").write_text("{}")
    assert locate_weights(wanted(moved)).digest != first


def test_an_optional_file_may_lack_and_a_file_may_have_a_source_of_its_own(folder, tmp_path):
    extra = tmp_path / "extra.pth"
    torch.save({"a": torch.ones(1)}, extra)
    lacking = WeightFile(("vocab.json",), is_optional=True)
    found = locate_weights(wanted(folder, lacking, WeightFile(("extra.pth",), source=str(extra))))
    assert found.path("vocab.json") is None
    assert found.get("extra.pth") == extra
    with pytest.raises(WeightsError, match=r"nowhere.pth"):
        locate_weights(wanted(folder, WeightFile(("extra.pth",), source="nowhere.pth")))


class Evil:
    def __reduce__(self):
        return print, ("this would have run",)


def test_a_pickle_that_runs_code_and_a_damaged_file_are_refused(tmp_path, capsys):
    torch.save({"x": Evil()}, tmp_path / "evil.bin")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    for name in ("evil.bin", "cut.safetensors"):
        with pytest.raises(WeightsError, match=name):
            read_tensors(tmp_path / name)
        with pytest.raises(WeightsError, match=name):
            read_tensor(tmp_path / name, "x")
    assert "would have run" not in capsys.readouterr().out


def test_every_known_tensor_must_be_there_and_fit_and_others_are_ignored(folder):
    tensors = read_tensors(folder / "model.safetensors")
    module = nn.Linear(3, 2)
    fill(module, {**tensors, "stray": torch.ones(1)}, where="toy.bin")
    assert module.weight.eq(1).all()
    with pytest.raises(WeightsError, match=r"toy.bin: the tensor 'bias' is missing"):
        fill(module, {"weight": tensors["weight"]}, where="toy.bin")
    with pytest.raises(WeightsError, match=r"'weight' has shape \(2, 3\), expected \(2, 4\)"):
        fill(nn.Linear(4, 2), tensors, where="toy.bin")


def test_the_same_contents_under_other_names_are_other_weights(folder):
    before = locate_weights(wanted(folder)).digest
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    for path, content in zip(sorted(folder.iterdir()), reversed(contents), strict=True):
        path.write_bytes(content)
    assert locate_weights(wanted(folder)).digest != before
