"""MTCNN with the boxes of facenet-pytorch 2.5.3, on a CPU bit-identical and in half of its time.

Three things differ: frames are resized with integral images, all candidates of a batch are cropped
together (facenet-pytorch crops them one by one, and on a GPU waits for each), and on a CPU two
kinds of layers work on whole rows. The networks, their weights and the non-maximum suppression are
those of facenet-pytorch.

Source: facenet_pytorch.models.utils.detect_face; Zhang et al. 2016 (arXiv:1604.02878).
"""

from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils import detect_face as facenet
from torch import Tensor, nn
from torchvision.ops.boxes import batched_nms

from emo.extract.faces.integral_image import DeviceIntegralImage, IntegralImage

_LEAST_PIXELS = 12  # side of the window that the first network looks at


class BatchedMtcnn:
    """Replacement of ``detect`` of a facenet-pytorch MTCNN for frames uint8 (F, H, W, 3)."""

    def __init__(self, mtcnn: MTCNN) -> None:
        """Take a detector that is on its device and in eval mode; on a CPU its layers change."""
        self._mtcnn = mtcnn
        self._device = next(mtcnn.parameters()).device
        if self._device.type != "cpu":
            return
        for network in (mtcnn.pnet, mtcnn.rnet, mtcnn.onet):
            for name, layer in list(network.named_children()):
                if isinstance(layer, nn.PReLU):
                    setattr(network, name, RowPReLU(layer))
        mtcnn.pnet.pool1 = RowHalving()

    def detect(self, frames: np.ndarray) -> tuple[list[Any], list[Any]]:
        """Find the faces of each frame.

        Args:
            frames: uint8 (F, H, W, 3) RGB.

        Returns:
            Two lists over frames: boxes float32 (K, 4), x0 y0 x1 y1 in pixels, largest first, and
            their probabilities float32 (K,). A frame without faces has None in both.

        Raises:
            IndexError: a candidate lies wholly outside its frame; facenet-pytorch fails there, too.
        """
        integral = self._integral_image(frames)
        boxes, owners = self._proposed(integral)
        boxes, owners = self._refined(integral, boxes, owners)
        boxes, owners = self._final(integral, boxes, owners)
        rows, of_frame = boxes.cpu().numpy(), owners.cpu().numpy()
        each = [_largest_first(rows[of_frame == frame]) for frame in range(len(frames))]
        return [found and found[0] for found in each], [found and found[1] for found in each]

    def _integral_image(self, frames: np.ndarray) -> IntegralImage | DeviceIntegralImage:
        if self._device.type == "cpu":
            return IntegralImage(frames)
        return DeviceIntegralImage(frames, self._device)

    def _proposed(self, integral: IntegralImage | DeviceIntegralImage) -> tuple[Tensor, Tensor]:
        """Run the first network (P-Net) on an image pyramid.

        Returns:
            float32 (K, 5), x0 y0 x1 y1 and probability, and the frame index of each (K,).
        """
        boxes: list[Tensor] = []
        owners: list[Tensor] = []
        kept: list[Tensor] = []
        for scale in self._scales(min(integral.height, integral.width)):
            pixels = integral.resized(
                int(integral.height * scale + 1), int(integral.width * scale + 1)
            )
            shifts, probabilities = self._mtcnn.pnet(_normal(pixels))
            found, owner = facenet.generateBoundingBox(
                shifts, probabilities[:, 1], scale, self._mtcnn.thresholds[0]
            )
            before = sum(map(len, boxes))
            kept.append(batched_nms(found[:, :4], found[:, 4], owner, 0.5) + before)
            boxes.append(found)
            owners.append(owner)
        chosen = torch.cat(kept)
        every, owner = torch.cat(boxes)[chosen], torch.cat(owners)[chosen]
        chosen = batched_nms(every[:, :4], every[:, 4], owner, 0.7)
        every, owner = every[chosen], owner[chosen]
        sides = (every[:, 2:4] - every[:, :2]).repeat(1, 2)
        moved = torch.cat([every[:, :4] + every[:, 5:9] * sides, every[:, 4:5]], dim=1)
        return facenet.rerec(moved), owner

    def _scales(self, least_side: int) -> list[float]:
        """Return the scales of the image pyramid for frames whose shorter side is given."""
        scale = _LEAST_PIXELS / self._mtcnn.min_face_size
        side, scales = least_side * scale, []
        while side >= _LEAST_PIXELS:
            scales.append(scale)
            scale, side = scale * self._mtcnn.factor, side * self._mtcnn.factor
        return scales

    def _refined(
        self, integral: IntegralImage | DeviceIntegralImage, boxes: Tensor, owners: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keep and move the boxes (K, 5) that the second network (R-Net) accepts."""
        if not len(boxes):
            return boxes, owners
        crops = _cropped(integral, boxes, owners, 24)
        moves, probabilities = facenet.fixed_batch_process(crops, self._mtcnn.rnet)
        likely = probabilities[:, 1] > self._mtcnn.thresholds[1]
        boxes = torch.cat([boxes[likely, :4], probabilities[likely, 1:2]], dim=1)
        owners, moves = owners[likely], moves[likely]
        chosen = batched_nms(boxes[:, :4], boxes[:, 4], owners, 0.7)
        return facenet.rerec(facenet.bbreg(boxes[chosen], moves[chosen])), owners[chosen]

    def _final(
        self, integral: IntegralImage | DeviceIntegralImage, boxes: Tensor, owners: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keep and move the boxes (K, 5) that the third network (O-Net) accepts."""
        if not len(boxes):
            return boxes, owners
        crops = _cropped(integral, boxes, owners, 48)
        moves, _, probabilities = facenet.fixed_batch_process(crops, self._mtcnn.onet)
        likely = probabilities[:, 1] > self._mtcnn.thresholds[2]
        boxes = torch.cat([boxes[likely, :4], probabilities[likely, 1:2]], dim=1)
        boxes, owners = facenet.bbreg(boxes, moves[likely]), owners[likely]
        chosen = facenet.batched_nms_numpy(boxes[:, :4], boxes[:, 4], owners, 0.7, "Min")
        return boxes[chosen], owners[chosen]


def _cropped(
    integral: IntegralImage | DeviceIntegralImage, boxes: Tensor, owners: Tensor, size: int
) -> Tensor:
    """Crop boxes (K, 5) and normalise them: float32 (K, 3, size, size)."""
    y0, y1, x0, x1 = facenet.pad(
        boxes, integral.width, integral.height
    )  # 1-based, the end included
    if ((y1 < y0) | (x1 < x0)).any():
        raise IndexError("The shape of the mask of candidates: one lies outside its frame")
    whole = np.stack([x0 - 1, y0 - 1, x1, y1], axis=1)
    return _normal(integral.crops(owners.cpu().numpy(), whole, size))


def _normal(pixels: np.ndarray | Tensor) -> Tensor:
    """Normalise float32 (n, H, W, 3) in [0, 255], in place, to (n, 3, H, W) in [-1, 1]."""
    whole = torch.as_tensor(pixels)
    return whole.sub_(127.5).mul_(0.0078125).permute(0, 3, 1, 2)


def _largest_first(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Sort (K, 5) by area and split it into boxes (K, 4) and probabilities (K,); None: K is 0."""
    if not len(boxes):
        return None
    order = np.argsort((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))[::-1]
    return boxes[order, :4], boxes[order, 4]


class RowPReLU(nn.Module):
    """PReLU that is fast for channels-last inputs; others go to ``torch.prelu``."""

    def __init__(self, layer: nn.PReLU) -> None:
        """Share the weights (C,) of ``layer``."""
        super().__init__()
        self.weight = layer.weight

    def forward(self, x: Tensor) -> Tensor:
        """Apply PReLU to float32 (n, C, H, W) or (n, C); the shape stays."""
        if x.dim() != 4 or not x.is_contiguous(memory_format=torch.channels_last):
            return torch.prelu(x, self.weight)
        count, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(count * height, width * channels)
        weights = torch.from_numpy(np.tile(self.weight.detach().numpy(), width))
        done = torch.prelu(rows, weights)
        return done.reshape(count, height, width, channels).permute(0, 3, 1, 2)


class RowHalving(nn.Module):
    """``MaxPool2d(2, 2, ceil_mode=True)`` that is fast for channels-last inputs."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool float32 (n, C, H, W) to (n, C, H / 2, W / 2), both rounded up."""
        count, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).contiguous()  # (n, H, W, C)
        flat = pixels.new_empty(count, (height + 1) // 2, width, channels)
        upper, lower, both = pixels[:, : height - 1 : 2], pixels[:, 1::2], flat[:, : height // 2]
        torch.maximum(upper.flatten(2), lower.flatten(2), out=both.flatten(2))
        small = pixels.new_empty(count, flat.shape[1], (width + 1) // 2, channels)
        if height % 2:
            flat[:, -1] = pixels[:, -1]
        left, right = flat[:, :, : width - 1 : 2], flat[:, :, 1::2]
        torch.maximum(left, right, out=small[:, :, : width // 2])
        if width % 2:
            small[:, :, -1] = flat[:, :, -1]
        return small.permute(0, 3, 1, 2)
