"""DeepMind's multimodal Perceiver IO up to the label query: latents, label token and logits.

Source: Jaegle et al. 2021 (arXiv:2107.14795); transformers' PerceiverForMultimodalAutoencoding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PerceiverSizes:
    """What ``config.json`` says of one window; the defaults are those of the published model."""

    frames: int = 16
    height: int = 224
    width: int = 224
    """Pixels."""
    samples_per_frame: int = 1920
    latents: int = 784
    latent_width: int = 512
    label_width: int = 512
    labels: int = 700
    """Classes of Kinetics-700."""

    @property
    def pixels(self) -> int:
        """Values of all frames of a window."""
        return self.frames * self.height * self.width * 3

    @property
    def samples(self) -> int:
        """Audio samples of a window."""
        return self.frames * self.samples_per_frame


def read_sizes(config: Mapping[str, Any]) -> PerceiverSizes:
    """The sizes in a ``config.json``; a key that it lacks has the published value."""
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
    """One window of frames and audio -> latents, the decoded label token and its logits.

    Only the label is decoded, with one point each of image and audio: decoding the rest would
    reconstruct the input in 128 passes, and no query changes what another one gets.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        """``config``: the content of ``config.json``."""
        from transformers import PerceiverConfig, PerceiverForMultimodalAutoencoding

        super().__init__()
        self.labels = read_sizes(config).labels
        self.whole = PerceiverForMultimodalAutoencoding(PerceiverConfig(**config))
        """Under the names of the checkpoint: ``perceiver.…``."""

    def forward(self, image: Tensor, audio: Tensor) -> dict[str, Tensor]:
        """The three outputs of each window.

        Args:
            image: (B, F, 3, H, W) in [0, 1].
            audio: (B, S, 1) in [-1, 1], S samples for F frames.

        Returns:
            ``latents`` (B, L, D), ``label`` (B, 1, D') and ``logits`` (B, 1, classes).
        """
        model: Any = self.whole.perceiver
        count = len(image)
        masked = image.new_zeros(count, self.labels)  # the label is the question
        inputs, sizes, without_position = model.input_preprocessor(
            {"image": image, "audio": audio, "label": masked}
        )
        latents = model.encoder(model.embeddings(batch_size=count), inputs=inputs)[0]
        one = torch.arange(1, device=image.device)
        query = model.decoder.decoder_query(
            inputs, sizes, without_position, subsampled_points={"image": one, "audio": one}
        )  # (B, 3, …), in the order of their names: audio, image, label
        label = model.decoder(query, z=latents).logits[:, -1:]
        logits = model.output_postprocessor.modalities["label"].classifier(label)
        return {"latents": latents, "label": label, "logits": logits}
