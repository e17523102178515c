"""The networks at their published sizes, on the meta device: parameters, shapes of tokens."""

import pytest
import torch

from emo.extract.backbones import resnet3d, vggface
from emo.extract.networks.perceiver import PerceiverWindow, read_sizes

# config.json of deepmind/multimodal-perceiver
PERCEIVER = {
    "num_latents": 784,
    "d_latents": 512,
    "d_model": 704,
    "num_blocks": 1,
    "num_self_attends_per_block": 8,
    "num_self_attention_heads": 8,
    "num_cross_attention_heads": 1,
    "num_frames": 16,
    "image_size": 56,
    "audio_samples_per_frame": 1920,
    "samples_per_patch": 16,
    "id2label": {str(label): f"LABEL_{label}" for label in range(700)},
}


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_perceiver_has_20_million_parameters_and_784_latents():
    sizes = read_sizes(PERCEIVER)
    with torch.device("meta"):
        net = PerceiverWindow(PERCEIVER)
        image = torch.empty(2, sizes.frames, 3, sizes.height, sizes.width)
        tokens = net.eval()(image, torch.empty(2, sizes.samples, 1))
    assert count(net) == 19_858_855
    assert sizes.samples == 30_720
    shapes = {name: tuple(value.shape) for name, value in tokens.items()}
    assert shapes == {"latents": (2, 784, 512), "label": (2, 1, 512), "logits": (2, 1, 700)}


def test_vggface_has_23_million_parameters_without_its_classifier():
    with torch.device("meta"):
        net = vggface.raw_network().eval()
        tokens = net(torch.empty(2, 3, vggface.SIZE_PIXELS, vggface.SIZE_PIXELS))
    assert count(net) == 23_482_624
    assert tokens.shape == (2, vggface.WIDTH)


@pytest.mark.parametrize(
    ("model", "published"),
    [("r3d_18", 33_371_472), ("mc3_18", 11_695_440), ("r2plus1d_18", 31_505_325)],
)
def test_resnet3d_has_torchvisions_parameters_without_the_classifier(model, published):
    with torch.device("meta"):
        net = resnet3d.network(model).eval()
        tokens = net(torch.empty(2, 3, resnet3d.FRAMES, 112, 112))
    assert count(net) == published - (resnet3d.WIDTH + 1) * 400
    assert tokens.shape == (2, resnet3d.WIDTH)
