"""Count the bytes that a forward pass keeps for the backward pass, without computing anything.

The networks become tensors of PyTorch's ``FakeTensorMode``, which have shapes and no memory. It
takes the same attention as a real CPU or GPU does; tensors on the device ``meta`` take another one,
which keeps 18 % more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from emo.adapt.method.layers import layers_again
from emo.adapt.method.method import batch_norms, named_networks
from emo.adapt.module import without_masks
from emo.adapt.options import AdaptOptions
from emo.extract.backbone import Inputs
from emo.extract.models.device import DeviceCopies
from emo.extract.models.model import Model


def kept_bytes(
    models: Mapping[str, Model], options: AdaptOptions, batches: Mapping[str, Sequence[Inputs]]
) -> int | None:
    """Return the bytes that the networks keep in a forward pass; None: it cannot be told.

    Args:
        models: skeletons by the names of their recipes, in which parameters are chosen already;
            they are changed and cannot be used afterwards.
        options: precision and gradient checkpointing.
        batches: inputs of the clips of one batch, by recipe.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    counter = _Counter()
    hooks = torch.autograd.graph.saved_tensors_hooks(counter.keep, lambda kept: kept)
    is_half = options.bf16 or options.fp16
    try:
        for model in models.values():
            _without_memory(model, mode)
        with mode:
            for name, model in models.items():
                counter.leave_out(model)
                with (
                    layers_again({name: model}, is_on=options.gradient_checkpointing),
                    torch.autocast("cpu", torch.bfloat16, enabled=is_half),
                    torch.enable_grad(), model.training(), _NoLayerDrop(), hooks,
                ):  # fmt: skip
                    _train_mode(model, options)
                    counter.results.append(model.forward(batches[name]))
    except Exception:  # code that looks at values, of any model
        return None
    return counter.total


class _NoLayerDrop(TorchFunctionMode):
    """Lets no layer be left out: models of speech compare a random number with a probability."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Return 1 for one random number; call everything else."""
        if func is torch.rand and args and args[0] in ((), []):
            return torch.tensor(1.0)
        return func(*args, **(kwargs or {}))


class _Counter:
    """Sums the bytes of the memory that is kept, each piece of memory once."""

    def __init__(self) -> None:
        self.total = 0
        self.results: list[Any] = []
        self._seen: dict[int, Any] = {}

    def keep(self, tensor: Tensor) -> Tensor:
        """Count a tensor that the backward pass will read."""
        memory = tensor.untyped_storage()
        if memory._cdata not in self._seen:
            self._seen[memory._cdata] = memory
            self.total += memory.nbytes()
        return tensor

    def leave_out(self, model: Model) -> None:
        """Do not count the weights of a model."""
        for network in model.networks().values():
            for tensor in (*network.parameters(), *network.buffers()):
                memory = tensor.untyped_storage()
                self._seen[memory._cdata] = memory


def _without_memory(model: Model, mode: Any) -> None:
    """Replace the tensors of a skeleton by those of a ``FakeTensorMode``, which is not on yet."""
    from torch._subclasses.fake_tensor import FakeTensor

    cpu = torch.device("cpu")

    def as_fake(tensor: Tensor) -> Tensor:
        found: Tensor = FakeTensor(mode, tensor.detach().to("meta"), cpu)
        return found

    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        for network in model.networks().values():
            network._apply(as_fake)  # type: ignore[no-untyped-call]
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
    model.device = cpu
    model.copies = DeviceCopies(model.device)
    for name, value in vars(model).items():
        if isinstance(value, Tensor) and value.device.type == "meta":
            setattr(model, name, as_fake(value))


def _train_mode(model: Model, options: AdaptOptions) -> None:
    """Switch the networks to the mode in which they are trained."""
    for _, _, network in named_networks({"": model}):
        network.train()
        without_masks(network)
        if not options.train_batch_norm:
            for layer in batch_norms(network):
                layer.eval()


def count_of(network: nn.Module) -> tuple[int, int]:
    """Return the numbers of trained and of all parameters of a network."""
    every = list(network.parameters())
    return sum(each.numel() for each in every if each.requires_grad), sum(
        each.numel() for each in every
    )
