"""Backbones and head as one module: every head, absent streams, checkpointing, losses, batches."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emo import plugins
from emo.adapt.method.layers import layers_again
from emo.adapt.method.method import apply_method
from emo.adapt.module import AdaptModule
from emo.adapt.options import AdaptOptions
from emo.adapt.training.clips import PADDING, ClipBatch, EpochOrder, TrainClips
from emo.adapt.training.losses import SummedLosses
from emo.errors import OptionError
from emo.heads.data.scaling import Scaling
from emo.heads.head import Batch, Head
from emo.heads.options import LoopOptions
from emo.heads.training.losses import make_loss
from emo.ragged import Ragged, offsets_of
from tests.adapt.conftest import inputs, tiny

USUAL = LoopOptions()
TRAINED = [
    "aligned_attention", "attention_pool", "bilstm", "cross_modal", "linear", "mean_pool",
    "mlstm_fcn", "perceiver_probe", "spectrogram_cnn",
]  # fmt: skip


def clip_batch(model, count=3, frozen=4):
    """Clips of which the first lacks the stream of a store, and the last the live one."""
    given = inputs(model, count - 1)
    lengths = np.arange(count)
    values = torch.randn(int(lengths.sum()), frozen)
    tokens = Ragged(values, torch.from_numpy(offsets_of(lengths)))
    labels = {"label": torch.arange(count) % 2}
    ids = tuple(f"c{k}" for k in range(count))
    pieces = [*([each] for each in given), [{}]]
    return ClipBatch(ids, {"m": pieces}, Batch({"store/words": tokens}, targets=labels))


def module_of(model, head="mean_pool", loop=USUAL, **given):
    streams = {f"m/{name}": spec.dim for name, spec in
               type(model).recipe(model.options).streams.items()}  # fmt: skip
    dims = {**streams, "store/words": 4}
    kind = plugins.load(plugins.HEADS, head, Head)
    own = plugins.parse_options(kind.Options, given, head)
    scalings = {name: Scaling(torch.ones(dim), torch.full((dim,), 2.0), is_unit=True)
                for name, dim in streams.items()}  # fmt: skip
    widths = {"label": 2}
    return AdaptModule({"m": model}, scalings, kind(dims, widths, options=own), widths, loop=loop)


@pytest.mark.parametrize("head", TRAINED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_head_trains_with_live_frozen_and_absent_streams(head, dtype):
    model = tiny("hf")
    own = {"solver": "adamw"} if head == "linear" else {}
    module = module_of(model, head, **own).train()
    apply_method({"m": model}, AdaptOptions.of(method="full"), {"m": inputs(model)})
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        logits, others, _ = module(clip_batch(model), (0, 1))
    assert others is None
    assert logits["label"].shape == (3, 2)
    torch.nn.functional.cross_entropy(logits["label"].float(), torch.tensor([0, 1, 0])).backward()
    grads = [each.grad for each in model.networks()["weights"].parameters() if each.requires_grad]
    if head != "linear":  # its weights are zero at the start
        assert all(each is not None and bool(each.isfinite().all()) for each in grads)


def test_scaling_is_that_of_stage_2():
    model = tiny("hf")
    module, clips = module_of(model), clip_batch(model)
    with torch.no_grad():
        found = module.eval().batch_of(clips).streams
    (name,) = [each for each in found if each.startswith("m/")]
    raw = model.encode([pieces[0] for pieces in clips.pieces["m"][:2]])
    stored = Ragged.of([each[name[2:]] for each in raw])
    wanted = Scaling(torch.ones(stored.width), torch.full((stored.width,), 2.0), is_unit=True)
    expected = wanted.apply(stored)
    assert torch.allclose(found[name].values, expected.values, atol=1e-6)
    assert found[name].offsets.tolist() == [*expected.offsets.tolist(), int(expected.offsets[-1])]


def test_without_clips_there_is_a_gradient_of_zero():
    model = tiny("hf")
    module = module_of(model).train()
    nothing = ClipBatch((), {"m": []}, Batch({}, targets={"label": torch.zeros(0).long()}))
    logits, _, _ = module(nothing)
    assert logits["label"].shape == (0, 2)
    logits["label"].sum().backward()
    assert any(each.grad is not None for each in module.parameters())


def test_mixup_follows_its_seed():
    model = tiny("hf")
    loop = LoopOptions(mixup=0.4, modality_dropout=0.2, spec_augment=("store/words",))
    module = module_of(model, loop=loop, dropout="0").train()
    for layer in module.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    clips = clip_batch(model)
    first, second, other = (module(clips, (seed, 0)) for seed in (1, 1, 2))
    assert torch.equal(first[0]["label"], second[0]["label"])
    assert first[2] == second[2] != other[2]


def test_checkpointed_layers_give_the_same_gradients():
    found = []
    for is_on in (False, True):
        model = tiny("languagebind")
        module = module_of(model, dropout="0").train()
        clips = clip_batch(model)
        clips = ClipBatch(clips.ids, clips.pieces, Batch(
            {"store/words": Ragged(torch.ones(3, 4), torch.arange(4))}))  # fmt: skip
        torch.manual_seed(0)
        for each in module.head.parameters():
            each.data.copy_(torch.randn_like(each) * 0.1)
        with layers_again({"m": model}, is_on=is_on) as count:
            module(clips)[0]["label"].square().sum().backward()
        assert bool(count) == is_on
        found.append({n: p.grad for n, p in module.networks.named_parameters()})
    assert found[0].keys() == found[1].keys()
    for name, grad in found[0].items():
        assert torch.equal(grad, found[1][name]), name
    with (
        pytest.raises(OptionError, match="no list of layers"),
        layers_again({"m": tiny("vggface")}, is_on=True),
    ):
        pass


def test_batch_norm_stays_in_eval_unless_it_is_trained():
    model = tiny("timm")
    module = module_of(model).train()
    norms = [each for each in module.networks.modules() if "BatchNorm" in type(each).__name__]
    assert norms
    assert not any(each.training for each in norms)
    module = AdaptModule({"m": model}, {}, module.head, {"label": 2}, loop=LoopOptions(),
                         train_batch_norm=True).train()  # fmt: skip
    assert all(each.training for each in norms)
    assert any("running_mean" in name for name in module.state_dict())


def test_a_checkpoint_holds_what_is_trained():
    model = tiny("hf")
    module = module_of(model)
    apply_method({"m": model}, AdaptOptions.of(target_modules=("query",)), {"m": inputs(model)})
    names = [name for name in module.state_dict() if not name.startswith("head.")]
    assert names
    assert all(".lora_" in name for name in names)
    with pytest.raises(RuntimeError, match="other parameters"):
        module.load_state_dict({"head.x": torch.zeros(1)})


@pytest.mark.parametrize(
    "options",
    [
        LoopOptions(), LoopOptions(class_weights=True, label_smoothing=0.1),
        LoopOptions(focal=2.0, class_weights=True), LoopOptions(target_weights={"b": 0.5}),
    ],
)  # fmt: skip
def test_sums_of_batches_are_the_mean_of_stage_2(options):
    torch.manual_seed(0)
    widths = {"a": 3, "b": 1, "c": 4}
    labels = {
        "a": torch.randint(-1, 3, (20,)),
        "b": torch.where(torch.rand(20) < 0.3, torch.nan, torch.randn(20)),
        "c": torch.randint(0, 2, (20, 4)),
    }
    labels["c"][3] = -1
    logits = {name: torch.randn(20, width) for name, width in widths.items()}
    losses = SummedLosses(labels, options)
    train = SimpleNamespace(targets=labels)
    expected = make_loss(train, options)(logits, labels)
    sums, counts = torch.zeros(3), torch.zeros(3)
    for rows in (range(7), range(7, 7), range(7, 20)):
        index = torch.tensor(list(rows), dtype=torch.int64)
        own = {name: each[index] for name, each in labels.items()}
        sums += losses.sums({name: each[index] for name, each in logits.items()}, own)
        counts += losses.counts(own, widths)
    assert losses.total(sums, counts) == pytest.approx(float(expected), abs=2e-6)


def test_the_order_is_new_in_each_epoch_and_padding_comes_last():
    clips = TrainClips([f"c{k}" for k in range(10)], {}, Batch(
        {}, targets={"label": torch.arange(10)}), 4)  # fmt: skip
    order = EpochOrder(10, len(clips), seed=3)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    assert len(first) == len(clips) == 12
    assert first[-2:] == second[-2:] == [10, 11]
    assert sorted(first[:10]) == sorted(second[:10]) == list(range(10))
    assert first != second
    batch = clips.collate([first[8], first[9], 10, 11])
    assert next(iter(batch)) == "labels"
    assert batch["labels"].tolist() == [0, 0, PADDING, PADDING]
    assert batch["clips"].ids == (f"c{first[8]}", f"c{first[9]}")
