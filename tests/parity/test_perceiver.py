"""Perceiver against transformers' own classes on a tiny random model."""

import dataclasses

import numpy as np
import pytest
import torch

from emo.extract.backbones.perceiver import STREAMS, Perceiver, PerceiverOptions
from emo.extract.media import Media
from tests.parity.conftest import fixtures, present
from tests.parity.tolerances import TOLERANCES

OURS = {"latents": "latents", "label_decoded": "label", "logits_label": "logits"}
SKIPPED = {
    "logits_image": "the reconstructed pixels are no stream: never decoded",
    "logits_audio": "the reconstructed sound is no stream: never decoded",
}
UNUSED = {
    "input_preprocessor.mask.image": "masked with probability 0",
    "input_preprocessor.mask.audio": "masked with probability 0",
    "input_preprocessor.padding.label": "the label is masked with probability 1",
    "decoder.padding.image": "belongs to the query of the image",
    "decoder.padding.audio": "belongs to the query of the audio",
    "output_postprocessor.modalities.image.": "makes pixels",
    "output_postprocessor.modalities.audio.": "makes sound",
    ".key.bias": "adds the same to all scores of a query, which the softmax takes away",
}


@pytest.fixture(scope="module", params=fixtures("perceiver"))
def folder(request):
    return present(request.param)


@pytest.fixture(scope="module")
def backbone(folder):
    options = PerceiverOptions(weights=str(folder), streams=",".join(STREAMS), stored="float32")
    return Perceiver.load(options, device="cpu")


@pytest.fixture(scope="module")
def theirs(folder):
    return dict(np.load(folder / "outputs.npz"))


@torch.inference_mode()
def forward(backbone, folder):
    inputs = np.load(folder / "inputs.npz")
    assert not inputs["label"].any()
    net = backbone.net(torch.from_numpy(inputs["image"]), torch.from_numpy(inputs["audio"]))
    shapes = {"latents": (-1, *net["latents"].shape[1:])}
    return {name: net[ours].reshape(shapes.get(ours, (len(net[ours]), -1))).numpy()
            for name, ours in OURS.items()}  # fmt: skip


def test_every_array_of_the_fixture_is_compared_or_skipped_with_a_reason(theirs):
    assert set(theirs) == set(OURS) | set(SKIPPED)
    assert all(SKIPPED.values())


def test_the_outputs_are_theirs(backbone, folder, theirs, compare):
    for name, ours in forward(backbone, folder).items():
        compare(folder.name, name, "perceiver", ours, theirs[name])


def test_a_decoded_clip_gives_what_the_network_gives_for_each_window(backbone):
    sizes, random = backbone.sizes, np.random.default_rng(0)
    shape = (2, sizes.frames, sizes.height, sizes.width, 3)
    frames = random.integers(0, 256, shape, dtype=np.uint8)
    samples = random.uniform(-1, 1, (2, 2 * sizes.samples)).astype(np.float32)
    media = Media(
        frames=frames.reshape(-1, *shape[2:]), samples=samples,
        sample_rate=25 * sizes.samples_per_frame,
    )  # fmt: skip
    (ours,) = backbone.encode([backbone.prepare(media).inputs])
    image = torch.from_numpy(frames).permute(0, 1, 4, 2, 3).float() / 255
    audio = torch.from_numpy(samples[0]).reshape(2, sizes.samples, 1)  # the first channel
    with torch.inference_mode():
        theirs = backbone.net(image, audio)
    for name, tokens in ours.items():
        expected = theirs[name].flatten(0, 1).numpy()
        np.testing.assert_allclose(tokens, expected, atol=TOLERANCES["perceiver"], rtol=0)


def test_one_percent_on_any_used_tensor_is_noticed(folder, theirs):
    options = PerceiverOptions(weights=str(folder), streams=",".join(STREAMS))
    backbone = Perceiver.load(options, device="cpu")
    for name, tensor in backbone.net.whole.state_dict().items():
        before = tensor.clone()
        signs = torch.ones(tensor.numel()).index_fill_(0, torch.arange(0, tensor.numel(), 2), -1)
        tensor.mul_(1 + 0.01 * signs.view_as(tensor))  # both signs: a norm takes a factor away
        ours = forward(backbone, folder)
        tensor.copy_(before)
        error = max(np.abs(ours[key] - theirs[key]).max() for key in OURS)
        is_unused = any(part in name for part in UNUSED)
        assert (error <= TOLERANCES["perceiver"]) == is_unused, (name, error)


def test_streams_left_out_change_nothing_in_the_others(backbone, folder):
    sizes = backbone.sizes
    media = Media(
        frames=np.full((sizes.frames, sizes.height, sizes.width, 3), 99, np.uint8),
        samples=np.linspace(-1, 1, sizes.samples, dtype=np.float32)[None],
        sample_rate=25 * sizes.samples_per_frame,
    )
    only = Perceiver.load(dataclasses.replace(backbone.options, streams="label"), device="cpu")
    (all_streams,), (label,) = (
        model.encode([model.prepare(media).inputs]) for model in (backbone, only)
    )
    assert set(label) == {"label"}
    np.testing.assert_array_equal(label["label"], all_streams["label"])
