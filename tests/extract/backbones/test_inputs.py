"""Inputs of networks as a recipe: bytes that come back bit by bit, without any file of tensors."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from emo import plugins
from emo.errors import OptionError, PluginError, StoreError
from emo.extract.backbone import Backbone, Prepared
from emo.extract.backbones.inputs import (
    InputsOptions,
    InputsReader,
    StoredInputs,
    inputs_options_of,
)
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.job.request import requests_from_words
from emo.extract.models.inputs_bytes import from_rows, to_rows
from emo.extract.run import ExtractOptions, extract
from emo.manifest import read_manifest
from emo.ragged import Ragged
from emo.store import Store
from tests.contracts.test_backbones import BACKBONES, REASON, media
from tests.contracts.test_models import NAMES, without_tensors
from tests.make import make_clip


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    return plugins.load(BACKBONES, request.param, Backbone).tiny()


class Folder:
    """A recipe of a store with one clip."""

    def __init__(self, recipe, rows):
        self.recipe, self.rows = recipe, rows

    def read(self, stream, ids):
        assert (stream, ids) == ("inputs", ["a"])
        return Ragged.of([self.rows])


def leaves(value, where=""):
    """Every leaf of nested inputs, by its place."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    elif dataclasses.is_dataclass(value):
        items = [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    else:
        return {where: value}
    return {k: v for name, each in items for k, v in leaves(each, f"{where}/{name}").items()}


def same(found, expected):
    found, expected = leaves(found), leaves(expected)
    assert found.keys() == expected.keys()
    for where, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert found[where].dtype == value.dtype
            assert found[where].equal(value)
            if value.numel():
                assert found[where].is_contiguous() == value.is_contiguous()
        else:
            assert found[where] == value


def test_inputs_of_every_model_come_back_bit_by_bit_without_its_tensors(model, tmp_path):
    bare = without_tensors(model, tmp_path)
    options = InputsOptions.around(plugins.lend(type(model)), bare)
    inputs = StoredInputs.load(options, device="cpu")
    clip = media(model, seed=3)
    prepared, expected = inputs.prepare(clip), model.prepare(clip)
    (tokens,) = inputs.encode([prepared.inputs])
    assert prepared.notes == expected.notes
    reader = InputsReader(Folder(StoredInputs.recipe(options), tokens["inputs"]), model)
    (read,) = reader.read("a")
    same(read.inputs, expected.inputs)
    assert (read.absent, read.notes) == (expected.absent, expected.notes)
    (found,), (wanted,) = model.encode([read.inputs]), model.encode([expected.inputs])
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])
    assert not StoredInputs.recipe(options).differences(
        StoredInputs.recipe(inputs_options_of(model))
    )


def test_the_forecast_of_a_model_is_near_the_rows(model):
    options = inputs_options_of(model)
    inputs = StoredInputs.load(options, device="cpu")
    rows = inputs.prepare(media(model, seconds=5.0)).inputs["rows"]
    forecast = StoredInputs.tokens(options, 5.0)["inputs"]
    assert forecast == pytest.approx(len(rows), rel=0.4, abs=2)


def test_absent_streams_stay_absent_with_their_reasons():
    model = LanguageBind.tiny()
    inputs = StoredInputs.load(inputs_options_of(model), device="cpu")
    clip = dataclasses.replace(media(model), samples=None, absent={"audio": REASON})
    (read,) = from_rows(inputs.prepare(clip).inputs["rows"])
    assert set(read.inputs) == {"video", "text"}
    assert read.absent == {"audio": REASON}


def test_pictures_may_be_stored_in_half_and_only_pictures():
    picture, wave = torch.randn(2, 3, 40, 40), torch.randn(1, 9000)
    large = torch.full((1, 2, 3), 1e30)
    made = Prepared({"picture": picture, "wave": wave, "large": large})
    whole, half = to_rows(made), to_rows(made, "float16")
    assert len(half) < 0.8 * len(whole)
    (read,) = from_rows(half)
    assert read.inputs["picture"].equal(picture.half().float())
    assert read.inputs["wave"].equal(wave)
    assert read.inputs["large"].equal(large)


def test_stretches_of_a_long_clip_follow_one_another():
    pieces = [to_rows(Prepared({"a": torch.tensor([k])}, notes={"n": k})) for k in range(3)]
    found = list(from_rows(np.concatenate(pieces)))
    assert [(int(each.inputs["a"]), each.notes) for each in found] == [
        (k, {"n": k}) for k in range(3)
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [10**12]}, {"shape": [-1]}, {"offset": -8}, {"offset": 10**9}, {"order": [3]},
        {"type": "object"}, {"stored": "complex64"}, {"more": 1}, {"shape": ["a"]},
        {"offset": 1.5}, {"order": [0, 0]},
    ],
)  # fmt: skip
def test_damaged_bytes_are_refused(change):
    rows = to_rows(Prepared({"a": torch.arange(4.0)}))
    flat = rows.reshape(-1).tobytes()
    size = int.from_bytes(flat[12:16], "little")
    head = json.loads(flat[24 : 24 + size])
    head["inputs"]["dict"]["a"]["tensor"] |= change
    new = json.dumps(head).encode()
    body = flat[24 + size :]
    data = flat[:12] + len(new).to_bytes(4, "little") + flat[16:24] + new + body
    with pytest.raises(StoreError, match="inputs of a clip"):
        list(from_rows(np.frombuffer(data + bytes(-len(data) % 1024), np.uint8)))


@pytest.mark.parametrize("flat", [bytes(1024), b"emoinput" + bytes(1016), b"emoinput\1\0\0\0" +
                                  b"\xff" * 1012, bytes(3)])  # fmt: skip
def test_other_bytes_are_refused(flat):
    with pytest.raises(StoreError, match="inputs of a clip"):
        list(from_rows(np.frombuffer(flat, np.uint8)))


def test_values_of_other_kinds_cannot_be_stored():
    with pytest.raises(TypeError, match="set cannot be stored"):
        to_rows(Prepared({"a": {1}}))


def test_options_of_the_other_backbone_are_sorted_and_checked():
    options = InputsOptions(of="wavlm-base", options="dtype=bf16;trim=speech;weights=here")
    assert options.of == "hf"
    assert "model=microsoft/wavlm-base" in options.options
    assert options.local == "weights=here;dtype=bf16"
    assert InputsOptions(**dataclasses.asdict(options)) == options
    assert options.inner.trim == "speech"
    for words, error in (
        (dict(of="classic"), "expected a backbone with weights"),
        (dict(of="timm", options="frames"), "expected name=value"),
        (dict(of="timm", options="frames=10000000"), "at most 1,000,000"),
        (dict(of="timm", options="frame=1"), "unknown option 'frame'"),
    ):
        with pytest.raises(OptionError, match=error):
            InputsOptions(**words)
    plugins.forget_trust()
    with pytest.raises(PluginError, match="--allow-code"):
        InputsOptions(of="tests.extract.models.test_model:Toy")


def test_inputs_of_another_model_are_refused():
    model = LanguageBind.tiny()
    other = inputs_options_of(plugins.load(BACKBONES, "timm", Backbone).tiny())
    with pytest.raises(StoreError, match=r"inputs of other networks: .*options\.of: timm"):
        InputsReader(Folder(StoredInputs.recipe(other), None), model)


def test_a_whole_extraction_of_inputs_gives_the_tokens_of_the_model(tmp_path):
    make_clip(tmp_path / "a.mp4", seconds=1.0)
    make_clip(tmp_path / "b.mp4", seconds=1.5, audio=False)
    (tmp_path / "m.csv").write_text("id,video,text\na,a.mp4,hello there\nb,b.mp4,you\n")
    manifest, model = read_manifest(tmp_path / "m.csv"), LanguageBind.tiny()
    inner = f"weights={model.options.weights};audio_weights={model.options.audio_weights}"
    words = ["inputs.of=languagebind", f"inputs.options={inner}"]
    requests = requests_from_words(["inputs"], words, manifest=manifest)
    direct = requests_from_words(["languagebind"], inner.split(";"), manifest=manifest)
    report = extract(manifest, tmp_path / "s", (*requests, *direct), ExtractOptions(workers=1))
    assert report.exit_code == 0
    again = extract(manifest, tmp_path / "s", requests, ExtractOptions(workers=1))
    assert again.plan.clips == 0
    store = Store(tmp_path / "s")
    reader = InputsReader(store.recipes["inputs"], model)
    for clip in "ab":
        (piece,) = reader.read(clip)
        (tokens,) = model.encode([piece.inputs])
        assert ("audio" in tokens) == (clip == "a")
        for name, values in tokens.items():
            stored = store.read(f"languagebind/{name}", [clip])[0]
            np.testing.assert_array_equal(values.astype(np.float16), stored)
