"""The steps of an LSTM as one autograd function: both directions at once, without padding.

It is meant for few sequences with wide inputs. torch's fused layer computes one direction at a
time and the padding too, including the product with the wide inputs. Here a step is eight small
operations on the sequences that have not ended, also in the backward pass; what does not depend
on the order of steps is computed for all rows at once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Order:
    """The order of computation: R rows, one for each (token, direction), sorted by step.

    Within a step, rows are sorted by direction and then by clip, longest clips first, so that the
    clips which have not ended at a step are the first ones of the step before.
    """

    pairs: Tensor
    """int64 (R,): token · directions + direction of each row."""
    token_rows: Tensor
    """int64 (R,): the row of each (token · directions + direction); the inverse of ``pairs``."""
    before: Tensor
    """int64 (R,): for each row, the row of its clip and direction one step before, counted from
    the zero states that precede step 0."""
    clips: list[int]
    """Number of clips that have not ended, for each step."""
    directions: int
    """Number of directions of the LSTM, 1 or 2."""

    @classmethod
    def of(cls, tokens: np.ndarray, directions: int) -> "Order":
        """Compute the order of the steps for some clips.

        Args:
            tokens: int64 (N, U), the tokens of each clip in order, -1 past its end. Each token
                occurs once.
            directions: 1, or 2 for forward and backward.
        """
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


def run_steps(inputs: Tensor, weights: list[Tensor], order: Order) -> Tensor:
    """Run all steps of an LSTM with E directions.

    Under autocast the steps are computed in the dtype of the weights.

    Args:
        inputs: float32 (ΣT, E · 4H), products of tokens with the input weights, with biases; for
            each direction the gates input, forget, cell, output, as in ``nn.LSTM``.
        weights: state weights of each direction, float32 (4H, H).
        order: the order of these tokens.

    Returns:
        float32 (ΣT, E · H) outputs.
    """
    with torch.autocast("cpu", enabled=False):
        inputs = inputs.to(weights[0].dtype)
        outputs: Tensor = _Steps.apply(inputs, order, *weights)  # type: ignore[no-untyped-call]
    return outputs


class _Steps(torch.autograd.Function):
    """Forward and backward pass of :func:`run_steps`.

    tanh(x) = 2 σ(2x) - 1, and torch's σ takes a third of the time of its tanh. So the cell gate's
    inputs and the cells are kept doubled, and the outputs and the tanh of cells halved.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, order: Order, *weights: Tensor) -> Tensor:
        """Return the outputs, float32 (ΣT, E · H)."""
        weight = torch.stack(weights)  # (E, 4H, H)
        ends, _, width = weight.shape
        rows = [ends * count for count in order.clips]
        gates = inputs.reshape(-1, 4 * width).index_select(0, order.pairs)
        gates[:, 2 * width : 3 * width] *= 2
        transposed = 2 * weight.transpose(1, 2)  # (E, H, 4H)
        transposed[:, :, 2 * width : 3 * width] *= 2
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
            gate.view(ends, -1, 4 * width).baddbmm_(output.view(ends, -1, width), transposed)
            gate.sigmoid_()
            torch.mul(stays, cell, out=new_cell)
            new_cell.addcmul_(enters, change, value=4).sub_(enters, alpha=2)
            torch.sigmoid(new_cell, out=tanh).sub_(0.5)
            torch.mul(leaves, tanh, out=new_output)
            cell, output = new_cell, new_output
        states[1] *= 2
        ctx.save_for_backward(weight, gates, tanhs, states)
        ctx.order = order
        return states[1, rows[0] :].index_select(0, order.token_rows).view(len(inputs), -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of inputs and weights, given that of outputs, (ΣT, E · H)."""
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
    """Divide (R, 4H) into the gates input, forget, cell, output, and each into steps (rows, H)."""
    return [torch.split(part, rows) for part in gates.chunk(4, dim=1)]


def _first(state: Tensor, left: Tensor, ends: int) -> Tensor:
    """Return a copy of the states of the clips that have not ended.

    Args:
        state: states of the step before, (E · clips, H).
        left: rows of the step, (E · clips left, …).
        ends: number of directions E.
    """
    found: Tensor = state.view(ends, -1, state.shape[1])[:, : len(left) // ends].flatten(0, 1)
    return found


def _to_outputs(to_output: Tensor, later: Tensor, weight: Tensor) -> None:
    """Add to the gradient of outputs what comes from the next step's gates, which may have fewer
    clips.

    Args:
        to_output: gradient of a step's outputs, (E · clips, H); changed in place.
        later: gradient of the next step's gates, (E · clips left, 4H).
        weight: state weights, (E, 4H, H).
    """
    ends, gates, width = weight.shape
    found, later = to_output.view(ends, -1, width), later.view(ends, -1, gates)
    if len(later[0]) == len(found[0]):
        found.baddbmm_(later, weight)
    else:
        found[:, : len(later[0])] += later.bmm(weight)


def _to_cells(to_cell: Tensor, later: Tensor, stays: Tensor, *, ends: int) -> None:
    """Add to the gradient of cells what comes from the next step's cells, which may have fewer
    clips.

    Args:
        to_cell: gradient of a step's cells, (E · clips, H); changed in place.
        later: gradient of the next step's cells, (E · clips left, H).
        stays: forget gates of the next step, (E · clips left, H).
        ends: number of directions E.
    """
    if len(later) == len(to_cell):
        to_cell.addcmul_(later, stays)
        return
    shape = ends, -1, to_cell.shape[1]
    later = later.view(shape)
    to_cell.view(shape)[:, : len(later[0])].addcmul_(later, stays.view(shape))


def _slopes(gates: Tensor, tanhs: Tensor, states: Tensor, order: Order) -> tuple[Tensor, Tensor]:
    """Return the derivatives that do not depend on the order of steps.

    Args:
        gates: (R, 4H) values of the gates.
        tanhs: (R, H) halved tanh of the cells.
        states: (2, E · clips + R, H) cells and outputs before step 0 and after each.
        order: the order of computation.

    Returns:
        (R, 4H): derivative of a cell by its gates input, forget and cell, and of an output by its
        output gate; (R, H): derivative of an output by its cell.
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
