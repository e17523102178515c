"""`timm` equals timm's own network and transform."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from emo.errors import OptionError
from emo.extract.backbones.timm import TimmModel, TimmOptions
from emo.extract.media import Faces, Media

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


def test_a_wrong_name_is_offered_the_nearest(tmp_path):
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(OptionError, match="did you mean 'efficientnet_b0'"):
        TimmModel.recipe(TimmOptions(model="eficientnet_b0", weights=str(tmp_path)))
