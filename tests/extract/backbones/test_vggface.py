import dataclasses

import numpy as np
import pytest
import torch

from emo.errors import WeightsError
from emo.extract.backbones.vggface import CHECKPOINT, VggFace, VggFaceOptions
from emo.extract.media import Faces, Media


@pytest.fixture(scope="module")
def tiny():
    return VggFace.tiny()


def encode(backbone, crops):
    media = Media(faces=Faces(crops, np.arange(len(crops)) == 0))
    prepared = backbone.prepare(media)
    (tokens,) = backbone.encode([prepared.inputs])
    return tokens["face"], prepared.notes


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), dtype=np.uint8)


def test_normalised_tokens_are_the_raw_ones_at_length_1(tiny, crops):
    raw = VggFace(tiny.net, dataclasses.replace(tiny.options, normalise=False), device="cpu")
    tokens, notes = encode(tiny, crops)
    longer, _ = encode(raw, crops)
    assert (np.linalg.norm(longer, axis=1) > 2).all()
    expected = longer / np.linalg.norm(longer, axis=1, keepdims=True)
    np.testing.assert_allclose(tokens, expected, atol=1e-6)
    assert notes == {"face_share": 0.5}


def test_the_options_reach_the_face_rule():
    options = VggFaceOptions(margin=0.2, faces="largest", require_face=True, frames=3)
    needs = VggFace.needs(options)
    assert needs.faces.size == 160
    assert (needs.faces.margin, needs.faces.mode, needs.faces.require_face) == (
        0.2,
        "largest",
        True,
    )
    assert len(needs.frames.indices(np.arange(50) / 25)) == 3


def test_a_file_without_a_tensor_is_refused_by_its_name(tiny, tmp_path):
    tensors = tiny.net.state_dict()
    del tensors["last_linear.weight"]
    torch.save(tensors, tmp_path / CHECKPOINT)
    with pytest.raises(WeightsError, match=r"last_linear\.weight"):
        VggFace.load(VggFaceOptions(weights=str(tmp_path)), device="cpu")


def test_missing_weights_name_the_file_and_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError, match=rf"(?s){CHECKPOINT}.*emo weights fetch vggface"):
        VggFace.recipe(VggFaceOptions())


@pytest.mark.parametrize("options", [{"frames": 0}, {"margin": -1.0}, {"min_probability": 2.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        VggFaceOptions(**options)
