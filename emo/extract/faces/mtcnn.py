"""MTCNN: the boxes of facenet-pytorch 2.5.3, on a CPU to the bit and in half of its time.

Three things are done otherwise: means over areas come from one table of sums, all candidates of a
batch are cropped together (facenet-pytorch crops one after the other, which on a GPU is one wait
for each), and on a CPU two kinds of layers run over whole rows. The networks, their weights and the
suppression of boxes are facenet-pytorch's.

Source: facenet_pytorch.models.utils.detect_face; Zhang et al. 2016 (arXiv:1604.02878).
"""

from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils import detect_face as facenet
from torch import Tensor, nn
from torchvision.ops.boxes import batched_nms

from emo.extract.faces.integral_image import Areas, DeviceAreas

_LEAST_PIXELS = 12  # what the first network looks at


class BatchedMtcnn:
    """``detect`` of a facenet-pytorch MTCNN, for (F, H, W, 3) uint8 frames of one size."""

    def __init__(self, mtcnn: MTCNN) -> None:
        """``mtcnn``: on its device, in eval mode."""
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
        """Boxes (K, 4), largest first, and probabilities (K,) of each frame; None: no face.

        Raises:
            IndexError: a candidate lies wholly outside its frame; facenet-pytorch breaks there too.
        """
        areas = self._areas(frames)
        boxes, owners = self._proposed(areas)
        boxes, owners = self._refined(areas, boxes, owners)
        boxes, owners = self._final(areas, boxes, owners)
        rows, of_frame = boxes.cpu().numpy(), owners.cpu().numpy()
        each = [_largest_first(rows[of_frame == frame]) for frame in range(len(frames))]
        return [found and found[0] for found in each], [found and found[1] for found in each]

    def _areas(self, frames: np.ndarray) -> Areas | DeviceAreas:
        if self._device.type == "cpu":
            return Areas(frames)
        return DeviceAreas(frames, self._device)

    def _proposed(self, areas: Areas | DeviceAreas) -> tuple[Tensor, Tensor]:
        """Boxes (K, 5) with their probabilities, and the frames (K,) they are in."""
        boxes: list[Tensor] = []
        owners: list[Tensor] = []
        kept: list[Tensor] = []
        for scale in self._scales(min(areas.height, areas.width)):
            pixels = areas.resized(int(areas.height * scale + 1), int(areas.width * scale + 1))
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
        scale = _LEAST_PIXELS / self._mtcnn.min_face_size
        side, scales = least_side * scale, []
        while side >= _LEAST_PIXELS:
            scales.append(scale)
            scale, side = scale * self._mtcnn.factor, side * self._mtcnn.factor
        return scales

    def _refined(
        self, areas: Areas | DeviceAreas, boxes: Tensor, owners: Tensor
    ) -> tuple[Tensor, Tensor]:
        if not len(boxes):
            return boxes, owners
        crops = _cropped(areas, boxes, owners, 24)
        moves, probabilities = facenet.fixed_batch_process(crops, self._mtcnn.rnet)
        likely = probabilities[:, 1] > self._mtcnn.thresholds[1]
        boxes = torch.cat([boxes[likely, :4], probabilities[likely, 1:2]], dim=1)
        owners, moves = owners[likely], moves[likely]
        chosen = batched_nms(boxes[:, :4], boxes[:, 4], owners, 0.7)
        return facenet.rerec(facenet.bbreg(boxes[chosen], moves[chosen])), owners[chosen]

    def _final(
        self, areas: Areas | DeviceAreas, boxes: Tensor, owners: Tensor
    ) -> tuple[Tensor, Tensor]:
        if not len(boxes):
            return boxes, owners
        crops = _cropped(areas, boxes, owners, 48)
        moves, _, probabilities = facenet.fixed_batch_process(crops, self._mtcnn.onet)
        likely = probabilities[:, 1] > self._mtcnn.thresholds[2]
        boxes = torch.cat([boxes[likely, :4], probabilities[likely, 1:2]], dim=1)
        boxes, owners = facenet.bbreg(boxes, moves[likely]), owners[likely]
        chosen = facenet.batched_nms_numpy(boxes[:, :4], boxes[:, 4], owners, 0.7, "Min")
        return boxes[chosen], owners[chosen]


def _cropped(areas: Areas | DeviceAreas, boxes: Tensor, owners: Tensor, size: int) -> Tensor:
    """(K, 3, size, size), normalised."""
    y0, y1, x0, x1 = facenet.pad(boxes, areas.width, areas.height)  # 1-based, the end included
    if ((y1 < y0) | (x1 < x0)).any():
        raise IndexError("The shape of the mask of candidates: one lies outside its frame")
    whole = np.stack([x0 - 1, y0 - 1, x1, y1], axis=1)
    return _normal(areas.crops(owners.cpu().numpy(), whole, size))


def _normal(pixels: np.ndarray | Tensor) -> Tensor:
    """(n, H, W, 3) in [0, 255] -> (n, 3, H, W) in [-1, 1], channels last; in place."""
    whole = torch.as_tensor(pixels)
    return whole.sub_(127.5).mul_(0.0078125).permute(0, 3, 1, 2)


def _largest_first(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    if not len(boxes):
        return None
    order = np.argsort((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))[::-1]
    return boxes[order, :4], boxes[order, 4]


class RowPReLU(nn.Module):
    """PReLU; tensors of another layout as ever."""

    def __init__(self, layer: nn.PReLU) -> None:
        """With the weights of ``layer``."""
        super().__init__()
        self.weight = layer.weight

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) or (n, C) -> the same shape."""
        if x.dim() != 4 or not x.is_contiguous(memory_format=torch.channels_last):
            return torch.prelu(x, self.weight)
        count, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(count * height, width * channels)
        weights = torch.from_numpy(np.tile(self.weight.detach().numpy(), width))
        done = torch.prelu(rows, weights)
        return done.reshape(count, height, width, channels).permute(0, 3, 1, 2)


class RowHalving(nn.Module):
    """``MaxPool2d(2, 2, ceil_mode=True)``."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, C, H / 2, W / 2), rounded up."""
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
