"""Backbones, scaling and head as one module that computes logits with gradients."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emo.adapt.method.method import batch_norms, named_networks
from emo.adapt.training.clips import ClipBatch
from emo.extract.backbone import Inputs
from emo.extract.models.model import Model
from emo.heads.data.scaling import Scaling
from emo.heads.head import Batch, Head
from emo.heads.options import LoopOptions
from emo.heads.training.augment import augment, mix
from emo.ragged import Ragged


class AdaptModule(nn.Module):
    """Networks of the backbones, scaling of their streams, and the head.

    ``state_dict`` holds only what is trained: a checkpoint of LoRA is small.
    """

    accepts_loss_kwargs = False
    """Tells the Trainer that losses are not computed here."""

    def __init__(
        self,
        models: Mapping[str, Model],
        scalings: Mapping[str, Scaling],
        head: Head,
        widths: Mapping[str, int],
        *,
        loop: LoopOptions,
        seed: int = 0,
        train_batch_norm: bool = False,
    ) -> None:
        """Register the networks, so that they are trained.

        Args:
            models: backbones by the names of their recipes.
            scalings: scaling of each live stream, ``RECIPE/STREAM``.
            head: the head; its streams decide the order.
            widths: number of logits of each target.
            loop: mixup, masks and modality dropout.
            seed: seed of these.
            train_batch_norm: whether BatchNorm's statistics are trained.
        """
        super().__init__()
        self._models = dict(models)
        self.networks = nn.ModuleDict(
            {_key(name): nn.ModuleDict(model.networks()) for name, model in models.items()}
        )
        self.head, self._widths = head, dict(widths)
        self._scalings = {name: _Scale(scaling) for name, scaling in scalings.items()}
        self.scales = nn.ModuleList(self._scalings.values())
        self._loop, self._seed = loop, seed
        self._train_batch_norm = train_batch_norm
        for _, _, network in named_networks(models):
            without_masks(network)

    def forward(
        self, clips: ClipBatch, mixes: Sequence[int] = ()
    ) -> tuple[dict[str, Tensor], dict[str, Tensor] | None, float]:
        """Return logits by target, and for mixup the partners' labels and the share.

        Without any clip the logits have no rows, but depend on a parameter: each process must
        compute a gradient in each step.

        Args:
            clips: N clips.
            mixes: in training, numbers that seed mixup and masks besides the seed; empty: none.
        """
        others, share = None, 1.0
        if not clips.ids:
            some = next(each for each in self.parameters() if each.requires_grad)
            zero = (some.sum() * 0)[None, None]
            return {name: zero.repeat(0, width) for name, width in self._widths.items()}, None, 1.0
        batch = self.batch_of(clips)
        if self.training and mixes:
            random = np.random.default_rng([self._seed, *mixes])
            batch = augment(batch, self._loop, random)
            if self._loop.mixup and random.random() < self._loop.mixup_probability:
                share = float(random.beta(self._loop.mixup, self._loop.mixup))
                order = random.permutation(len(batch))
                batch = mix(batch, order, share)
                index = torch.from_numpy(order)
                others = {name: labels[index] for name, labels in clips.frozen.targets.items()}
        return self.head(batch), others, share

    def batch_of(self, clips: ClipBatch) -> Batch:
        """Return the scaled tokens of live and frozen streams on the device, with gradients."""
        device = next(self.head.parameters()).device
        streams: dict[str, Ragged] = {}
        for recipe, model in self._models.items():
            tokens = tokens_of(model, clips.pieces[recipe])
            for name, scale in self._scalings.items():
                if name.partition("/")[0] == recipe:
                    own = [each.get(name.partition("/")[2]) for each in tokens]
                    streams[name] = scale(ragged_of(own, scale.centre, device))
        for name, found in clips.frozen.streams.items():
            streams[name] = Ragged(found.values.to(device), found.offsets.to(device))
        return Batch({name: streams[name] for name in self.head.streams})

    def train(self, mode: bool = True) -> "AdaptModule":
        """Switch modes; BatchNorm of the networks stays in eval unless it is trained."""
        super().train(mode)
        if mode and not self._train_batch_norm:
            for layer in batch_norms(self.networks):
                layer.eval()
        return self

    def state_dict(self, *args: Any, **words: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """Return what is trained, by name: parameters, the head, and BatchNorm's statistics."""
        every = super().state_dict(*args, **words)
        names = {name for name, each in self.named_parameters() if each.requires_grad}
        if self._train_batch_norm:
            names |= {
                f"networks.{name}.{buffer}"
                for name, layer in self.networks.named_modules()
                if layer in batch_norms(self.networks)
                for buffer, _ in layer.named_buffers(recurse=False)
            }
        return {
            name: tensor.contiguous()
            for name, tensor in every.items()
            if name in names or name.startswith("head.")
        }

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load what :meth:`state_dict` returned.

        Raises:
            RuntimeError: tensors of other parameters.
        """
        missing = self.state_dict().keys() ^ state_dict.keys()
        if missing:
            raise RuntimeError(f"a checkpoint of other parameters: {sorted(missing)[:3]}")
        super().load_state_dict(state_dict, strict=False)
        return torch.nn.modules.module._IncompatibleKeys([], [])


def _key(recipe: str) -> str:
    """Return a name of a module for a recipe, whose own name may hold dots or be ``train``.

    >>> _key("wav2vec2.0")
    'recipe-wav2vec2%2e0'
    """
    return f"recipe-{recipe.replace('.', '%2e')}"


class _Scale(nn.Module):
    """The scaling of one stream, with gradients."""

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.centre: Tensor
        self.scale: Tensor
        self.register_buffer("centre", scaling.centre.clone())
        self.register_buffer("scale", scaling.scale.clone())
        self._is_unit = scaling.is_unit

    def forward(self, tokens: Ragged) -> Ragged:
        """Scale tokens float32 (ΣT, D) as :meth:`emo.heads.data.scaling.Scaling.apply` does."""
        values = tokens.values.float()
        if self._is_unit:
            values = values / values.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return Ragged((values - self.centre) * self.scale, tokens.offsets)


def tokens_of(model: Model, clips: Sequence[Sequence[Inputs]]) -> list[dict[str, Tensor]]:
    """Return the tokens of clips with gradients; those of a clip's stretches are joined in order.

    Args:
        model: the backbone.
        clips: for each of N clips the inputs of its stretches.

    Returns:
        For each clip ``{stream: float32 (T, D)}``, without the streams that it lacks.
    """
    flat = [piece for clip in clips for piece in clip if piece]
    with model.training():
        found = iter(model.forward(flat) if flat else [])
    joined = []
    for clip in clips:
        pieces = [next(found) for piece in clip if piece]
        names = dict.fromkeys(name for piece in pieces for name in piece)
        joined.append(
            {name: torch.cat([each[name] for each in pieces if name in each]) for name in names}
        )
    return joined


def ragged_of(clips: Sequence[Tensor | None], like: Tensor, device: torch.device) -> Ragged:
    """Return the tokens of N clips of one stream; None: the clip has 0 rows.

    Args:
        clips: float32 (T, D) each.
        like: a vector (D,), whose width an empty stream has.
        device: where the offsets lie.
    """
    lengths = torch.tensor([0 if each is None else len(each) for each in clips], device=device)
    offsets = torch.zeros(len(clips) + 1, dtype=torch.int64, device=device)
    torch.cumsum(lengths, 0, out=offsets[1:])
    found = [each for each in clips if each is not None]
    values = torch.cat(found) if found else like.new_zeros(0, len(like))
    return Ragged(values, offsets)


def without_masks(network: nn.Module) -> None:
    """Switch off the masking of inputs that some speech models do in training.

    It fails on clips that are shorter than a mask; ``--spec-augment`` is for live streams.
    """
    for layer in network.modules():
        config: Any = getattr(layer, "config", None)
        if getattr(config, "apply_spec_augment", False):
            config.apply_spec_augment = False
