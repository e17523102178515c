"""The networks at their published sizes, on the meta device: parameters, shapes of tokens."""

from pathlib import Path

import pytest
import torch

from emo.extract.backbones import resnet3d, vggface
from emo.extract.networks.languagebind.checkpoint import Config
from emo.extract.networks.languagebind.network import VisionTower
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


LARGE = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "patch_size": 14, "hidden_act": "gelu",
}  # fmt: skip


def test_languagebind_l_has_the_shapes_of_its_specification():
    video = {**LARGE, "image_size": 224, "num_frames": 8, "add_time_attn": True}
    audio = {**LARGE, "num_mel_bins": 112, "target_length": 1036}
    expected = {"video": (1, 8, 257, 1024), "audio": (1, 1, 593, 1024)}
    for name, vision in (("video", video), ("audio", audio)):
        config = Config(Path("config.json"), {"projection_dim": 768, "vision_config": vision})
        picture, frames = config.picture, vision.get("num_frames", 1)
        with torch.device("meta"):
            tower = VisionTower(config.sizes("vision_config"), picture).eval()
            tokens = tower.tokens(torch.empty(1, frames, 3, picture.height, picture.width))
            pooled = tower.pooled(tower.frames(tokens))
        # ViT-L/14: 304 M at 336 px; the temporal attentions of video add 24 x 4.2 M
        assert count(tower) / 1e6 == pytest.approx({"video": 405, "audio": 305}[name], abs=2)
        assert tuple(tokens.shape) == expected[name]
        assert tuple(pooled.shape) == (1, 768)


@pytest.mark.parametrize(
    ("name", "options", "millions"),
    [
        ("Roberta", {"vocab_size": 50265, "max_position_embeddings": 514}, 124.6),
        ("WavLM", {}, 94.4),
        ("ViT", {}, 86.4),
        ("VideoMAE", {}, 86.2),
    ],
)
def test_models_of_transformers_have_their_published_parameters(name, options, millions):
    import transformers

    config = getattr(transformers, f"{name}Config")(**options)
    with torch.device("meta"):
        net = transformers.AutoModel.from_config(config)
    assert count(net) / 1e6 == pytest.approx(millions, abs=0.7)


def test_openclip_vit_b_32_has_151_million_parameters():
    import open_clip

    with torch.device("meta"):
        net = open_clip.create_model("ViT-B-32", load_weights=False, device="meta")
    assert count(net) / 1e6 == pytest.approx(151.3, abs=0.1)
    assert net.encode_image(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 512)


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
        net = resnet3d.resnet3d_network(model).eval()
        tokens = net(torch.empty(2, 3, resnet3d.FRAMES, 112, 112))
    assert count(net) == published - (resnet3d.WIDTH + 1) * 400
    assert tokens.shape == (2, resnet3d.WIDTH)
