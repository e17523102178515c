"""AdamW with gradient clipping, over all parameters of a head as one vector.

``torch.optim`` computes the same numbers, but its first optimizer imports torch's compiler: 900
modules and 3 to 10 seconds, more than a whole fit takes. The step here is torch's fused kernel,
which reads each number once.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamW:
    """AdamW over all parameters as one vector, with the gradient clipped to a maximal norm.

    Source: Loshchilov and Hutter 2019, algorithm 2, as torch.optim.AdamW computes it.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, weight_decay: float, gradient_norm: float
    ) -> None:
        """Copy the parameters into one vector and make each parameter a view of it."""
        self.weight_decay, self.gradient_norm = weight_decay, gradient_norm
        chosen = [parameter for parameter in parameters if parameter.requires_grad]
        self.values = torch.cat([parameter.detach().reshape(-1) for parameter in chosen])
        self.gradient = torch.zeros_like(self.values)
        self.mean, self.square = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.steps = torch.zeros(())
        start = 0
        for parameter in chosen:
            here = slice(start, start := start + parameter.numel())
            parameter.data = self.values[here].view_as(parameter)
            parameter.grad = self.gradient[here].view_as(parameter)

    def step(self, loss: Tensor, learning_rate: float) -> None:
        """Take one optimizer step along the gradient of ``loss``, a scalar."""
        self.add(loss)
        self.step_added(learning_rate)

    def add(self, loss: Tensor) -> None:
        """Add the gradient of ``loss``, a scalar, to the gradient of the next step."""
        loss.backward()  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def step_added(self, learning_rate: float) -> None:
        """Take one optimizer step along the sum of the gradients added since the last step."""
        too_long = ((self.gradient.norm() + 1e-6) / self.gradient_norm).clamp(min=1.0)
        self.steps += 1
        torch._fused_adamw_(
            [self.values], [self.gradient], [self.mean], [self.square], [], [self.steps],
            lr=learning_rate, beta1=BETAS[0], beta2=BETAS[1], weight_decay=self.weight_decay,
            eps=EPSILON, amsgrad=False, maximize=False, grad_scale=too_long,
        )  # fmt: skip
        self.gradient.zero_()
