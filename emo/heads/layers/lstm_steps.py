"""The steps of an LSTM as one function of autograd: both directions at once, no padding.

For few clips with many columns: torch's fused layer takes one direction and computes padding, the
columns' product included. Here a step is eight small operations on the clips that are left,
backward too; what needs no order is done for all rows at once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Order:
    """Where the (token, direction) pairs of all clips stand: by step, direction, clip.

    Longest clips first, so that those left at a step are the first of those before.
    """

    pairs: Tensor
    """(R,) of each place: its pair, token · directions + direction."""
    token_rows: Tensor
    """(R,) of each pair: its place."""
    before: Tensor
    """(R,) of each place: that of the step before, counted from the zero states of step 0."""
    clips: list[int]
    """Clips left at each step."""
    directions: int

    @classmethod
    def of(cls, tokens: np.ndarray, directions: int) -> "Order":
        """From (N, U): the tokens of each clip in order, -1 past its end; all tokens are there."""
        lengths = (tokens >= 0).sum(1)
        longest_first = np.argsort(-lengths, kind="stable")
        lengths = lengths[longest_first]
        tokens = tokens[longest_first, : lengths[0]].T  # (U, N)
        is_left = tokens >= 0
        ways = [tokens]
        if directions == 2:
            from_end = (lengths - 1 - np.arange(len(tokens))[:, None]).clip(0)
            ways.append(np.take_along_axis(tokens, from_end, axis=0))
        pairs = np.stack(ways, axis=1) * directions + np.arange(directions)[:, None]
        is_pair = np.broadcast_to(is_left[:, None], pairs.shape)
        pairs = pairs[is_pair]
        token_rows = np.empty_like(pairs)
        token_rows[pairs] = np.arange(len(pairs))
        clips = is_left.sum(1)
        states = np.zeros((len(tokens) + 1, directions, len(lengths)), dtype=np.int64)
        has_state = np.concatenate([is_pair[:1], is_pair])
        states[has_state] = np.arange(directions * clips[0] + len(pairs))
        before = states[:-1][is_pair]
        indices = [torch.from_numpy(index) for index in (pairs, token_rows, before)]
        return cls(indices[0], indices[1], indices[2], clips.tolist(), directions)


def run_steps(read: Tensor, weights: list[Tensor], order: Order) -> Tensor:
    """Outputs of all tokens from what each gate reads of them: (ΣT, E · 4H) -> (ΣT, E · H).

    Args:
        read: of each of E directions: input, forget, cell, output, as in ``nn.LSTM``.
        weights: (4H, H) of each direction.
        order: of these tokens. Under autocast the steps stay in the dtype of the weights.
    """
    with torch.autocast("cpu", enabled=False):
        read = read.to(weights[0].dtype)
        outputs: Tensor = _Steps.apply(read, order, *weights)  # type: ignore[no-untyped-call]
    return outputs


class _Steps(torch.autograd.Function):
    """Values and gradients of :func:`run_steps`.

    tanh(x) is 2 σ(2x) - 1, of which torch's σ takes a third of the time of its tanh. So the cell
    gate is read twice as large, cells are kept twice as large, outputs and tanh of cells half.
    """

    @staticmethod
    def forward(ctx: Any, read: Tensor, order: Order, *weights: Tensor) -> Tensor:
        weight = torch.stack(weights)  # (E, 4H, H)
        ends, _, width = weight.shape
        rows = [ends * count for count in order.clips]
        gates = read.reshape(-1, 4 * width).index_select(0, order.pairs)
        gates[:, 2 * width : 3 * width] *= 2
        turned = 2 * weight.transpose(1, 2)
        turned[:, :, 2 * width : 3 * width] *= 2
        tanhs = gates.new_empty(len(gates), width)
        states = gates.new_zeros(2, rows[0] + len(gates), width)  # before step 0, then after each
        cells, outputs = (torch.split(part, rows[:1] + rows) for part in states.unbind())
        cell, output = cells[0], outputs[0]
        steps = zip(
            torch.split(gates, rows), *_gates(gates, rows), torch.split(tanhs, rows),
            cells[1:], outputs[1:], strict=True,
        )  # fmt: skip
        for gate, enters, stays, change, leaves, tanh, new_cell, new_output in steps:
            if len(gate) < len(cell):
                cell, output = _first(cell, gate, ends), _first(output, gate, ends)
            gate.view(ends, -1, 4 * width).baddbmm_(output.view(ends, -1, width), turned)
            gate.sigmoid_()
            torch.mul(stays, cell, out=new_cell)
            new_cell.addcmul_(enters, change, value=4).sub_(enters, alpha=2)
            torch.sigmoid(new_cell, out=tanh).sub_(0.5)
            torch.mul(leaves, tanh, out=new_output)
            cell, output = new_cell, new_output
        states[1] *= 2
        ctx.save_for_backward(weight, gates, tanhs, states)
        ctx.order = order
        return states[1, rows[0] :].index_select(0, order.token_rows).view(len(read), -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, gates, tanhs, states = ctx.saved_tensors
        order: Order = ctx.order
        ends, _, width = weight.shape
        rows = [ends * count for count in order.clips]
        to_gates, to_cells = _slopes(gates, tanhs, states, order)
        to_outputs = gradient.reshape(-1, width).index_select(0, order.pairs)
        stays = torch.split(gates[:, width : 2 * width], rows)
        found = [torch.split(part, rows) for part in (to_gates, to_cells, to_outputs)]
        steps = zip(*found, *_gates(to_gates, rows), stays, strict=True)
        later: tuple[Tensor, ...] = ()
        for to_gate, to_cell, to_output, *parts, leaves, stay in reversed(list(steps)):
            if later:
                _to_outputs(to_output, later[0], weight)
            to_cell.mul_(to_output)
            if later:
                _to_cells(to_cell, *later[1:], ends=ends)
            for part in parts:
                part.mul_(to_cell)
            leaves.mul_(to_output)
            later = to_gate, to_cell, stay
        by_token = to_gates.index_select(0, order.token_rows).view(-1, ends, 4 * width)
        before = order.before[order.token_rows].view(-1, ends).T.reshape(-1)
        before_token = states[1].index_select(0, before).view(ends, -1, width)
        to_weights = by_token.permute(1, 2, 0).bmm(before_token)
        return by_token.flatten(1), None, *to_weights.unbind()


def _gates(gates: Tensor, rows: list[int]) -> list[tuple[Tensor, ...]]:
    """Those of each step, input, forget, cell and output apart: (R, 4H) -> (rows, H)."""
    return [torch.split(part, rows) for part in gates.chunk(4, dim=1)]


def _first(state: Tensor, left: Tensor, ends: int) -> Tensor:
    """The states of the clips that are left: a copy."""
    found: Tensor = state.view(ends, -1, state.shape[1])[:, : len(left) // ends].flatten(0, 1)
    return found


def _to_outputs(to_output: Tensor, later: Tensor, weight: Tensor) -> None:
    """Add what the gates of the next step, of fewer clips maybe, have for these outputs."""
    ends, gates, width = weight.shape
    found, later = to_output.view(ends, -1, width), later.view(ends, -1, gates)
    if len(later[0]) == len(found[0]):
        found.baddbmm_(later, weight)
    else:
        found[:, : len(later[0])] += later.bmm(weight)


def _to_cells(to_cell: Tensor, later: Tensor, stays: Tensor, *, ends: int) -> None:
    """Add what the cells of the next step, of fewer clips maybe, have for these."""
    if len(later) == len(to_cell):
        to_cell.addcmul_(later, stays)
        return
    shape = ends, -1, to_cell.shape[1]
    later = later.view(shape)
    to_cell.view(shape)[:, : len(later[0])].addcmul_(later, stays.view(shape))


def _slopes(gates: Tensor, tanhs: Tensor, states: Tensor, order: Order) -> tuple[Tensor, Tensor]:
    """What turns a cell's gradient into that of its gates (an output's, of the last), and back.

    (R, 4H); and (R, H) which turns an output's gradient into that of its cell.
    """
    found: Tensor = torch.empty_like(gates)
    enters, stays, changes, leaves = gates.chunk(4, dim=1)
    by_enters, by_stays, by_change, by_leaves = found.chunk(4, dim=1)
    changes = 2 * changes - 1
    entered = enters * changes
    stayed = (states[0].index_select(0, order.before) * stays).mul_(0.5)
    outputs = states[1, -len(gates) :]
    torch.addcmul(entered, entered, enters, value=-1, out=by_enters)
    torch.addcmul(stayed, stayed, stays, value=-1, out=by_stays)
    torch.addcmul(enters, entered, changes, value=-1, out=by_change)
    torch.addcmul(outputs, outputs, leaves, value=-1, out=by_leaves)
    return found, torch.addcmul(leaves, outputs, tanhs, value=-2)
