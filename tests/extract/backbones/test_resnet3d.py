"""The 3D ResNets against torchvision's classes and transforms, called directly."""

import numpy as np
import pytest
import torch
from torchvision.models import video
from torchvision.transforms._presets import VideoClassification

from emo.extract.backbones.resnet3d import CHECKPOINTS, FRAMES, ResNet3d, ResNet3dOptions
from emo.extract.media import Faces, Media

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module", params=CHECKPOINTS)
def theirs(request, tmp_path_factory):
    """Name, torchvision's network without its last layer, and a file with all of its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = getattr(video, request.param)().eval()
        for name, buffer in net.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.05)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp("resnet3d") / CHECKPOINTS[request.param]
    torch.save(net.state_dict(), path)
    net.fc = torch.nn.Identity()
    return request.param, net, path


def transformed(frames, side):
    """(W, 16, H, W, 3) -> (W, 3, 16, side, side) by torchvision's own preset."""
    resized = tuple(round(side * pixels / 112) for pixels in (128, 171))
    preset = VideoClassification(crop_size=(side, side), resize_size=resized)
    return preset(torch.from_numpy(frames).permute(0, 1, 4, 2, 3))


def encode(backbone, media):
    prepared = backbone.prepare(media)
    (tokens,) = backbone.encode([prepared.inputs])
    return tokens


@torch.inference_mode()
def test_whole_frames_give_what_torchvision_gives(theirs):
    model, net, path = theirs
    options = ResNet3dOptions(weights=str(path), model=model, input="video", size=56)
    needs = ResNet3d.needs(options)
    frames = RANDOM.integers(0, 256, (2, FRAMES, 90, 120, 3), dtype=np.uint8)
    shown = np.stack([needs.transform(frame) for frame in frames.reshape(-1, 90, 120, 3)])
    ours = encode(ResNet3d.load(options, device="cpu"), Media(frames=shown))
    expected = net(transformed(frames, 56)).numpy()
    np.testing.assert_allclose(ours["video"], expected, atol=1e-5, rtol=1e-5)
    assert np.abs(expected).max() > 0.1


@torch.inference_mode()
def test_faces_are_normalised_and_not_resized_again(theirs):
    model, net, path = theirs
    backbone = ResNet3d.load(ResNet3dOptions(weights=str(path), model=model, size=32), device="cpu")
    crops = RANDOM.integers(0, 256, (FRAMES, 32, 32, 3), dtype=np.uint8)
    media = Media(faces=Faces(crops, np.arange(FRAMES) < 4))
    preset = VideoClassification(crop_size=(32, 32), resize_size=(32, 32))
    expected = net(preset(torch.from_numpy(crops[None]).permute(0, 1, 4, 2, 3))).numpy()
    np.testing.assert_allclose(encode(backbone, media)["face"], expected, atol=1e-5, rtol=1e-5)
    assert np.abs(expected).max() > 0.1
    assert backbone.prepare(media).notes == {"face_share": 0.25}


def test_frames_are_squeezed_as_in_training():
    needs = ResNet3d.needs(ResNet3dOptions(input="video"))
    frame = RANDOM.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    assert needs.transform(frame).shape == (112, 112, 3)
    preset = VideoClassification(crop_size=(112, 112), resize_size=(128, 171))
    expected = preset(torch.from_numpy(frame[None]).permute(0, 3, 1, 2))  # (3, 1, 112, 112)
    shown = (expected[:, 0].permute(1, 2, 0).numpy() * preset.std + preset.mean) * 255
    np.testing.assert_allclose(needs.transform(frame), shown, atol=1e-3)


def test_a_second_of_25_frames_is_one_window_at_15_a_second():
    needs = ResNet3d.needs(ResNet3dOptions())
    indices = needs.frames.indices(np.arange(26) / 25)
    assert len(indices) == FRAMES
    np.testing.assert_allclose(indices, np.arange(FRAMES) * 25 / 15, atol=1)


def test_a_clip_without_faces_says_why():
    options = ResNet3dOptions(weights=ResNet3d.tiny().options.weights, model="mc3_18", size=16)
    prepared = ResNet3d.load(options, device="cpu").prepare(Media(absent={"face": "too dark"}))
    assert prepared.absent == {"face": "too dark"}


@pytest.mark.parametrize(
    "options", [{"model": "r50"}, {"faces": "all"}, {"frame_rate": 0.0}, {"hop_seconds": -1.0}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        ResNet3dOptions(**options)
