"""`timm` equals timm's own network and transform."""

import numpy as np
import pytest
import torch
from PIL import Image

from emo.errors import OptionError
from emo.extract.backbones.timm import TimmModel, TimmOptions
from emo.extract.media import Faces, Media
from emo.extract.networks.log_mel_picture import picture_of

NETWORKS = [
    "test_efficientnet",
    "test_vit",
    "test_convnext",
    "test_resnet",
    "mobilenetv3_small_050",
]
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 60, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("wanted", ["video", "face"])
def test_it_equals_timm_called_directly(name, wanted, tmp_path):
    import timm
    from timm.data import create_transform, resolve_data_config

    torch.manual_seed(0)
    net = timm.create_model(name, pretrained=False).eval()
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    transform = create_transform(**resolve_data_config(net.pretrained_cfg))
    with torch.inference_mode():
        pixels = torch.stack([transform(Image.fromarray(image)) for image in IMAGES])
        expected = net.forward_head(net.forward_features(pixels), pre_logits=True)
    options = TimmOptions(model=name, input=wanted, weights=str(tmp_path), frames=3)
    backbone = TimmModel.load(options, device="cpu")
    media = Media(frames=IMAGES, faces=Faces(IMAGES, np.ones(3, bool)))
    (tokens,) = backbone.encode([backbone.prepare(media).inputs])
    assert TimmModel.recipe(options).streams[wanted].dim == expected.shape[1]
    np.testing.assert_allclose(tokens[wanted], expected, atol=1e-5)


def test_a_log_mel_picture_is_squeezed_and_not_cropped(tmp_path):
    import timm
    from timm.data import create_transform, resolve_data_config

    torch.manual_seed(0)
    net = timm.create_model("test_vit", pretrained=False).eval()
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    settings = resolve_data_config(net.pretrained_cfg)
    transform = create_transform(**{**settings, "crop_pct": 1.0, "crop_mode": "squash"})
    samples = np.random.default_rng(0).normal(0, 0.1, (1, 40_000)).astype(np.float32)
    pieces = [samples[:, :16_000], samples[:, 16_000:32_000], samples[:, 32_000:]]
    with torch.inference_mode():
        pictures = [Image.fromarray(picture_of(piece, 16_000)) for piece in pieces]
        pixels = torch.stack([transform(picture) for picture in pictures])
        expected = net.forward_head(net.forward_features(pixels), pre_logits=True)
    options = TimmOptions(
        model="test_vit", input="spectrogram", weights=str(tmp_path), window_seconds=1.0
    )
    backbone = TimmModel.load(options, device="cpu")
    media = Media(samples=samples, sample_rate=16_000, frames=IMAGES)
    (tokens,) = backbone.encode([backbone.prepare(media).inputs])
    np.testing.assert_allclose(tokens["audio"], expected, atol=1e-5)
    assert TimmModel.recipe(options).streams["audio"].level == "window"
    assert TimmModel.tokens(options, 2.5) == {"audio": 3.0}
    assert TimmModel.needs(options).audio
    silent = backbone.prepare(Media(frames=IMAGES, absent={"audio": "the clip has no sound"}))
    assert silent.absent == {"audio": "the clip has no sound"}


def test_options_of_pictures_of_sound_keep_older_recipes(tmp_path):
    import timm

    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "pytorch_model.bin")
    recipe = TimmModel.recipe(TimmOptions(model="test_vit", weights=str(tmp_path)))
    assert not {"window_seconds", "hop_seconds"} & recipe.options.keys()


def test_a_wrong_name_is_offered_the_nearest(tmp_path):
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(OptionError, match="did you mean 'efficientnet_b0'"):
        TimmModel.recipe(TimmOptions(model="eficientnet_b0", weights=str(tmp_path)))
