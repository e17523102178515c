"""What every backbone with weights shares: batches of equal rows, and less when memory ends."""

import pytest
import torch

from emo.extract.models.device import DeviceCopies
from emo.extract.models.model import Model
from emo.extract.models.options import ModelOptions


class Toy(Model):
    weights = streams = build = write_tiny = needs = tokens = prepare = encode = None


Toy.__abstractmethods__ = frozenset()


@pytest.fixture
def model():
    return Toy(ModelOptions(), device="cpu")


def test_rows_come_back_to_their_clips_in_order(model):
    clips = [torch.full((count, width), float(k)) for k, (count, width) in
             enumerate([(3, 2), (1, 5), (40, 2), (2, 5)])]  # fmt: skip
    seen = []

    def forward(rows):
        seen.append(tuple(rows.shape))
        return rows.sum(1, keepdim=True)

    found = model.run(forward, clips)
    assert [len(rows) for rows in found] == [3, 1, 40, 2]
    for k, rows in enumerate(found):
        assert rows.eq(k * clips[k].shape[1]).all()
    assert seen == [(32, 2), (11, 2), (3, 5)]  # rows of different shapes never share a batch


def test_the_batch_is_halved_until_it_fits(model):
    def forward(rows):
        if len(rows) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rows

    (found,) = model.run(forward, [torch.arange(100.0)[:, None]])
    assert found[:, 0].tolist() == list(range(100))
    assert model.row_count == 8


def test_one_row_that_does_not_fit_and_other_errors_are_raised(model):
    def no_memory(rows):
        raise torch.OutOfMemoryError("CUDA out of memory")

    def wrong(rows):
        raise RuntimeError("shapes do not match")

    with pytest.raises(torch.OutOfMemoryError):
        model.run(no_memory, [torch.ones(4, 1)])
    with pytest.raises(RuntimeError, match="shapes"):
        model.run(wrong, [torch.ones(4, 1)])


class LateCopies:
    """Copies of a device whose results are complete only after a wait, like on CUDA."""

    def __init__(self):
        self.sent, self.late = [], []

    def send(self, rows):
        self.sent.append(len(rows))
        return rows

    def fetch(self, result):
        self.late.append((torch.full_like(result, float("nan")), result))
        return self.late[-1][0]

    @torch.inference_mode()
    def wait(self):
        for there, result in self.late:
            there.copy_(result)


def test_results_are_read_after_all_batches_were_sent_and_waited_for(model):
    model.copies = LateCopies()
    clips = [torch.arange(40.0)[:, None], torch.arange(5.0)[:, None]]
    found = model.run(lambda rows: rows * 2, clips)
    assert model.copies.sent == [32, 13]
    for clip, rows in zip(clips, found, strict=True):
        torch.testing.assert_close(rows, clip * 2)


def test_copies_on_a_processor_are_float32_and_need_no_waiting():
    copies = DeviceCopies(torch.device("cpu"))
    rows = torch.arange(4.0, dtype=torch.bfloat16)
    assert copies.send(rows) is rows
    assert copies.fetch(rows).dtype == torch.float32
    copies.wait()


def test_autocast_is_on_below_fp32():
    seen = []
    for dtype in ("fp32", "bf16"):
        Toy(ModelOptions(dtype=dtype), device="cpu").run(
            lambda rows: seen.append((rows @ rows.T).dtype) or rows, [torch.ones(2, 2)]
        )
    assert seen == [torch.float32, torch.bfloat16]


def test_in_training_batches_are_those_of_extraction_and_nothing_is_halved(model):
    weight = torch.ones(1, requires_grad=True)
    seen = []

    def forward(rows):
        seen.append(len(rows))
        if rows.max() > 50:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rows * weight

    with model.training():
        (found,) = model.run(forward, [torch.arange(40.0)[:, None]])
        with pytest.raises(torch.OutOfMemoryError):
            model.run(forward, [torch.arange(60.0)[:, None]])
    assert (seen[:2], model.row_count) == ([32, 8], 32)
    assert torch.autograd.grad(found.sum(), weight)[0] == 780
    (found,) = model.run(forward, [torch.arange(40.0)[:, None]])
    assert not found.requires_grad


def test_in_training_the_caller_sets_the_precision():
    model = Toy(ModelOptions(dtype="bf16"), device="cpu")
    kinds = []

    def forward(rows):
        kinds.append((rows @ rows.T).dtype)
        return rows

    model.run(forward, [torch.ones(2, 2)])
    with model.training():
        model.run(forward, [torch.ones(2, 2)])
        with torch.autocast("cpu", torch.float16):
            model.run(forward, [torch.ones(2, 2)])
    assert kinds == [torch.bfloat16, torch.float32, torch.float16]
