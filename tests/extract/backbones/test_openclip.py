"""`openclip` equals open_clip's own model, transform and tokenizer."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from emo.errors import OptionError, WeightsError
from emo.extract.backbones.openclip import OpenClip, OpenClipOptions
from emo.extract.media import Media


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openclip")
    OpenClip.write_tiny(folder)
    return folder


def media(seed=0):
    frames = np.random.default_rng(seed).integers(0, 256, (3, 40, 56, 3), dtype=np.uint8)
    return Media(frames=frames, text="It's — a “test”…")


def test_it_equals_open_clip_called_directly(folder):
    import open_clip

    net, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    clip = media()
    with torch.inference_mode():
        pixels = torch.stack([transform(Image.fromarray(frame)) for frame in clip.frames])
        seen, read = net.eval().encode_image(pixels), net.encode_text(tokenizer([clip.text]))
    backbone = OpenClip.load(OpenClipOptions(weights=str(folder)), device="cpu")
    (tokens,) = backbone.encode([backbone.prepare(clip).inputs])
    np.testing.assert_allclose(tokens["video"], seen, atol=1e-5)
    np.testing.assert_allclose(tokens["text"], read, atol=1e-5)


def test_any_model_of_the_package_is_known_by_name_and_a_wrong_one_is_offered_the_nearest(folder):
    with pytest.raises(OptionError, match=r"did you mean 'ViT-B-32'"):
        OpenClip.recipe(OpenClipOptions(model="ViT-B32", weights=str(folder)))
    recipe = OpenClip.recipe(OpenClipOptions(model="ViT-L-14", weights=str(folder)))
    assert recipe.streams["video"].dim == 768


def test_a_checkpoint_of_another_model_is_refused_by_tensor(folder):
    with pytest.raises(WeightsError, match=r"is missing|has shape"):
        OpenClip.load(OpenClipOptions(model="ViT-B-32", weights=str(folder)), device="cpu")


def test_one_checkpoint_file_is_enough_when_the_model_is_named(folder, tmp_path):
    import open_clip

    net = open_clip.create_model("ViT-S-32-alt", load_weights=False)
    path = tmp_path / "mine.pt"
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, path
    )
    with pytest.raises(OptionError, match=r"so the model is unknown"):
        OpenClip.recipe(OpenClipOptions(weights=str(path)))
    backbone = OpenClip.load(OpenClipOptions(model="ViT-S-32-alt", weights=str(path)), device="cpu")
    for name, tensor in net.state_dict().items():
        assert torch.equal(backbone.net.state_dict()[name], tensor), name


def test_the_folder_s_own_pixels_are_used(folder):
    backbone = OpenClip.load(OpenClipOptions(weights=str(folder), streams="video"), device="cpu")
    pixels = backbone.prepare(media()).inputs["video"]
    wanted = json.loads((folder / "open_clip_config.json").read_text())["preprocess_cfg"]["mean"]
    assert wanted == [0.5, 0.5, 0.5]
    assert pixels.min() >= -1
    assert pixels.max() <= 1
