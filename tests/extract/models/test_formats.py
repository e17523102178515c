"""Weights that are no plain file of tensors: tables of any name are found, formats are named."""

import io
import warnings
import zipfile

import h5py
import numpy as np
import pytest
import torch

from emo.errors import WeightsError
from emo.extract.models.tensor_files.checkpoint import fill, read_tensor, read_tensors
from emo.extract.models.weights import WeightFile, Weights, locate_weights

TABLE = {"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}


def trained(network):
    """A checkpoint as training loops write it: with the optimizer's state and generators."""
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3, "step": torch.tensor(300), "best": torch.tensor(0.5), **network,
        "optimizer": optimizer.state_dict(), "rng_state": torch.get_rng_state(),
        "config": {"width": 3},
    }  # fmt: skip


@pytest.mark.parametrize(
    "saved",
    [
        TABLE,
        {"model": TABLE},
        {"state_dict": {**TABLE, "count": torch.tensor(3)}},
        {"model": {"state_dict": TABLE}},
        {"model_state": TABLE},
        {"network": TABLE},
        trained({"model_state_dict": TABLE}),
        trained({"net": {"encoder": TABLE}}),
        trained({"model": TABLE, "ema": TABLE}),  # `model` is what was always meant
        {"model": {"name": "mine"}, "weights": TABLE},
        {**TABLE, "meta": {"mean": torch.ones(3)}},
        {"network": TABLE, "optimizer": {"state": {0: {"m": torch.zeros(2, 3)}}}},
        {"network": TABLE, "lr_schedulers": {"past": torch.zeros(3, 3)}, "scaler": TABLE},
    ],
)
def test_the_table_of_tensors_is_found(saved, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(saved, path)
    tensors = read_tensors(path)
    assert tensors.keys() >= TABLE.keys()
    assert all(torch.equal(tensors[name], TABLE[name]) for name in TABLE)
    assert torch.equal(read_tensor(path, "layer.weight"), TABLE["layer.weight"])


def test_several_tables_are_named_and_none_is_taken(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(trained({"net": {"generator": TABLE}, "ema": TABLE}), path)
    with pytest.raises(WeightsError) as caught:
        read_tensors(path)
    assert "several tables of tensors: net/generator (2 tensors), ema (2 tensors)" in str(
        caught.value
    )
    command = str(caught.value).partition("own: ")[2]
    scope = {"torch": torch, "FILE": path, "NEW": tmp_path / "new.pt"}
    exec(command, scope)  # the line that the error tells
    assert read_tensors(tmp_path / "new.pt").keys() == TABLE.keys()


@pytest.mark.parametrize("names", [("state_dict", "state_dict_ema"), ("model", "model_ema")])
def test_weights_beside_their_moving_averages_are_named_and_none_is_taken(names, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(trained(dict.fromkeys(names, TABLE)), path)
    said = rf"several tables of tensors: {names[0]} \(2 tensors\), {names[1]} \(2 tensors\)"
    with pytest.raises(WeightsError, match=said):
        read_tensors(path)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "model.module.", "net."])
def test_the_prefix_of_a_wrapper_is_taken_off(prefix):
    layer = torch.nn.Linear(3, 2)
    tensors = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    wrapped = {prefix + name: tensor for name, tensor in tensors.items()}
    fill(layer, {**wrapped, "criterion.scale": torch.ones(1)}, where="w.pt")
    assert torch.equal(layer.weight, tensors["weight"])
    others = {f"teacher.{name}": tensor + 1 for name, tensor in tensors.items()}
    with pytest.raises(WeightsError, match=rf"several prefixes: {prefix}, teacher\."):
        fill(layer, wrapped | others, where="w.pt")
    with pytest.raises(WeightsError, match=r"begin with 'teacher\.'; .* save them without it"):
        fill(layer, others, where="w.pt")
    with pytest.raises(WeightsError, match="the tensor 'weight' and 1 more is missing"):
        fill(layer, {f"{prefix}weight": tensors["weight"]}, where="w.pt")


def test_no_tensor_at_all_is_an_error_with_what_is_there(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"epoch": 3, "config": {"width": 3}}, path)
    with pytest.raises(WeightsError, match=r"holds no tensors; it holds: epoch, config"):
        read_tensors(path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="expected a table of tensors, found list"):
        read_tensors(path)


def hdf5():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["w"] = np.ones(3)
    return buffer.getvalue()


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


def arrays():
    buffer = io.BytesIO()
    np.savez(buffer, w=np.ones(3))
    return buffer.getvalue()


FOREIGN = {
    "HDF5": ("model.bin", hdf5()),
    # ONNX: version of the format (field 1), producer (field 2)
    "ONNX": ("model.bin", b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\xcf\x02"),
    # CTranslate2: version of the format, length and name of the model's kind
    "CTranslate2": ("model.bin", b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0\x47\x01\0\0"),
    "TensorFlow": ("saved_model.pb", b"\x08\x01\x12\x9b\x04"),
    "TensorFlow Lite": ("model.pt", b"\x1c\0\0\0TFL3\x14\0"),
    "GGUF": ("model.bin", b"GGUF\x03\0\0\0"),
    "Flax": ("flax_model.msgpack", b"\x83\xa5layer"),
    "Keras": ("model.pt", zipped("metadata.json", "config.json", "model.weights.h5")),
    "NumPy arrays": ("model.pt", arrays()),
    "TorchScript": ("model.pt", zipped("m/data.pkl", "m/constants.pkl", "m/code/a.py")),
    "a zip archive": ("model.pt", zipped("readme.txt")),
    "a damaged zip file": ("model.pt", b"PK\x03\x04 and then nothing"),
    "a Git LFS pointer": ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
    "a web page": ("model.safetensors", b"<!DOCTYPE html><html>"),
    "empty": ("model.pt", b""),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_format_is_called_by_its_name(name, tmp_path):
    file, content = FOREIGN[name]
    (tmp_path / file).write_bytes(content)
    for read in (read_tensors, lambda path: read_tensor(path, "w")):
        with pytest.raises(
            WeightsError, match=f"{file} cannot be .*: the file is {name}"
        ) as caught:
            read(tmp_path / file)
        assert "weights_only" not in str(caught.value)
        assert "as safetensors, or as a PyTorch file of tensors" in str(caught.value)


def test_of_a_torchscript_file_there_is_the_error_alone(tmp_path, recwarn):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit in newer versions
        torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "model.pt")
    recwarn.clear()
    for read in (read_tensors, lambda path: read_tensor(path, "w")):
        with pytest.raises(WeightsError, match="the file is TorchScript"):
            read(tmp_path / "model.pt")
    assert [str(each.message) for each in recwarn] == []


def test_a_whole_model_that_was_pickled_is_told_to_save_its_tensors(tmp_path):
    torch.save(torch.nn.Linear(3, 2), tmp_path / "model.pt")
    with pytest.raises(WeightsError, match=r"objects of torch.nn.modules.linear.Linear, not only"):
        read_tensors(tmp_path / "model.pt")
    (tmp_path / "model.pt").write_bytes(b"\x80\x04no pickle at all")
    with pytest.raises(WeightsError, match="cannot be read as weights: ") as caught:
        read_tensors(tmp_path / "model.pt")
    assert "weights_only" not in str(caught.value)


def test_weights_for_other_programs_in_the_folder_are_named(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08\x12")
    weights = Weights("toy", str(tmp_path), (WeightFile(("model.safetensors",)),))
    with pytest.raises(
        WeightsError, match=r"\n  there is model.onnx \(ONNX\), but get the weights"
    ):
        locate_weights(weights)
    (tmp_path / "model.onnx").unlink()
    (tmp_path / "model.bin").write_bytes(FOREIGN["CTranslate2"][1])
    torch.save(TABLE, tmp_path / "tensors.bin")
    with pytest.raises(WeightsError, match=r"there is model.bin \(CTranslate2\), but") as caught:
        locate_weights(weights)
    assert "tensors.bin" not in str(caught.value)
