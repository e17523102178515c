"""DeepMind's multimodal Perceiver IO, without reconstruction: latents, label token and logits.

Source: Jaegle et al. 2021 (arXiv:2107.14795); transformers' PerceiverForMultimodalAutoencoding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PerceiverSizes:
    """Sizes of one window and of the model; the defaults are those of the published model."""

    frames: int = 16
    """Frames of a window."""
    height: int = 224
    """Height of a frame in pixels."""
    width: int = 224
    """Width of a frame in pixels."""
    samples_per_frame: int = 1920
    """Audio samples for each frame."""
    latents: int = 784
    """Number of latents."""
    latent_width: int = 512
    """Width of a latent."""
    label_width: int = 512
    """Width of the label token."""
    labels: int = 700
    """Number of classes, those of Kinetics-700."""

    @property
    def pixels(self) -> int:
        """Number of pixel values in a window: frames * height * width * 3."""
        return self.frames * self.height * self.width * 3

    @property
    def samples(self) -> int:
        """Number of audio samples in a window."""
        return self.frames * self.samples_per_frame


def read_sizes(config: Mapping[str, Any]) -> PerceiverSizes:
    """Return the sizes in the content of a ``config.json``; missing keys get published values."""
    usual = PerceiverSizes()
    _, _, height, width = config.get("output_shape", (1, usual.frames, usual.height, usual.width))
    return PerceiverSizes(
        frames=config.get("num_frames", usual.frames),
        height=height,
        width=width,
        samples_per_frame=config.get("audio_samples_per_frame", usual.samples_per_frame),
        latents=config.get("num_latents", usual.latents),
        latent_width=config.get("d_latents", usual.latent_width),
        label_width=config.get("output_num_channels", usual.label_width),
        labels=len(config.get("id2label", range(usual.labels))),
    )


class PerceiverWindow(nn.Module):
    """Network that maps a window of frames and audio to latents, a label token and its logits.

    Only the label is decoded, together with one point each of image and audio. Decoding the rest
    would reconstruct the input in 128 passes; queries do not influence each other.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Build the network with random weights from the content of ``config.json``."""
        from transformers import PerceiverConfig, PerceiverForMultimodalAutoencoding

        super().__init__()
        self.labels = read_sizes(config).labels
        self.whole = PerceiverForMultimodalAutoencoding(PerceiverConfig(**config))
        """The whole model; its parameters have the names of the checkpoint (``perceiver.…``)."""

    def forward(self, image: Tensor, audio: Tensor) -> dict[str, Tensor]:
        """Compute the three outputs of each of B windows.

        Args:
            image: float32 (B, F, 3, H, W) in [0, 1].
            audio: float32 (B, S, 1) in [-1, 1], S samples for F frames.

        Returns:
            float32 ``latents`` (B, latents, D), ``label`` (B, 1, D') and ``logits`` (B, 1, labels).
        """
        model: Any = self.whole.perceiver
        count = len(image)
        masked = image.new_zeros(count, self.labels)  # no label is given: it is to be predicted
        inputs, sizes, without_position = model.input_preprocessor(
            {"image": image, "audio": audio, "label": masked}
        )
        latents = model.encoder(model.embeddings(batch_size=count), inputs=inputs)[0]
        one = torch.arange(1, device=image.device)
        query = model.decoder.decoder_query(
            inputs, sizes, without_position, subsampled_points={"image": one, "audio": one}
        )  # (B, 3, …), sorted by name: audio, image, label
        label = model.decoder(query, z=latents).logits[:, -1:]
        logits = model.output_postprocessor.modalities["label"].classifier(label)
        return {"latents": latents, "label": label, "logits": logits}
