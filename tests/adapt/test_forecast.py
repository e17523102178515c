"""The forecast of an adaptation: counts, steps, disk and memory, without any weights."""

import gc
import json
import os
import subprocess
import sys

import pytest
import torch

from emo.adapt.method.method import apply_method
from emo.adapt.options import AdaptOptions
from emo.adapt.planning.activations import kept_bytes
from emo.adapt.planning.dry_run import dry_run, typical_seconds
from emo.adapt.planning.forecast import ClipCounts, forecast
from emo.adapt.planning.presets import find_adapt_preset
from emo.adapt.planning.published import CONFIGS, with_published
from emo.errors import WeightsError
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.backbones.timm import TimmModel
from emo.extract.networks.languagebind.tiny import write_repository
from emo.manifest import read_manifest
from tests.adapt.conftest import inputs, options_of

EMOTIONS = {"emotion": 7}
MELD = ClipCounts(9_989, 13_708)
COUNTS = {
    "adapt-languagebind-exp1": (528_634_624, 528_634_624, 10_752),
    "adapt-languagebind-exp2": (832_950_272, 832_950_272, 16_128),
    "adapt-languagebind-exp4": (7_979_264, 536_105_728, 10_752),
    "adapt-languagebind-exp5": (13_385_984, 541_512_448, 10_752),
    "adapt-languagebind-exp6": (20_741_632, 852_905_984, 16_128),
    "adapt-perceiver-cremad": (19_623_135, 19_991_982, 133_127),
    "adapt-qia-face": (33_249_351, 33_249_351, 83_079),
}
"""Preset -> trained parameters, all parameters, and those of the head."""


def of_preset(name, **fields):
    options = AdaptOptions.of(**(find_adapt_preset(name).fields | fields))
    return forecast(options, MELD, EMOTIONS)


def check_counts(name):
    found = of_preset(name)
    trained, every, head = COUNTS[name]
    assert (found.trained, found.every, found.networks[-1].trained) == (trained, every, head)
    return found


def test_the_counts_of_the_source_from_configurations_alone(monkeypatch):
    """With --freeze-head they are those that the source prints for experiment 4."""
    monkeypatch.setattr("emo.adapt.planning.forecast.kept_bytes", lambda *_: None)
    found = of_preset("adapt-languagebind-exp4", freeze_head=True)
    assert (found.trained, found.every) == (7_968_512, 536_105_728)
    assert found.networks[-1].every == 10_752
    assert found.trained + 10_752 == COUNTS["adapt-languagebind-exp4"][0]
    assert "7,968,512  536,105,728" in found.table()
    assert "LanguageBind/LanguageBind_Video_FT that comes with emo" in found.table()
    assert found.memory_bytes is None
    assert "does not tell without values" in found.table()


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_every_published_count(name):
    found = check_counts(name)
    assert found.memory_bytes > 4 * found.every


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "trained"),
    [("adapt-languagebind-exp5", 13_375_232), ("adapt-languagebind-exp6", 20_725_504)],
)
def test_the_source_froze_the_head(name, trained):
    assert of_preset(name, freeze_head=True).trained == trained


@pytest.mark.slow
def test_memory_of_the_published_model():
    """As was measured on a prototype: 16.9 GiB in fp32, 12.9 in bf16, 0.8 with checkpoints."""
    for fields, gib in (
        ({"bf16": False}, 16.95), ({}, 12.87),
        ({"bf16": False, "gradient_checkpointing": True}, 0.83),
    ):  # fmt: skip
        found = of_preset("adapt-languagebind-exp5", lora_dropout=0.0, **fields)
        assert found.kept_bytes / 2**30 == pytest.approx(gib, abs=0.01)


def test_a_dry_run_runs_each_network_once_without_lora_and_pauses_the_collector(
    weights, clips, emo, monkeypatch
):
    """Meta tensors cost as much time as small real ones, and imports a fifth more with gc."""
    ran = []
    forward = LanguageBind.forward

    def counted(self, batch):
        ran.append(gc.isenabled())
        return forward(self, batch)

    monkeypatch.setattr(LanguageBind, "forward", counted)
    code, _, said = emo(
        "adapt", str(clips), "--backbone", "languagebind", "-o", f"languagebind.weights={weights}",
        "-o", "languagebind.streams=text", "--target-modules", "q_proj", "--dry-run",
    )  # fmt: skip
    assert (code, ran) == (0, [False] * 3), said
    assert gc.isenabled()


def test_word_embeddings_alone_and_a_stream_from_a_store():
    options = AdaptOptions.of(**find_adapt_preset("adapt-videollama-exp4").fields)
    found = forecast(options, MELD, EMOTIONS, frozen={"videollama/video": 5120})
    assert [each.trained for each in found.networks] == [32_000 * 5120, 5_903_879]
    unknown = forecast(options, MELD, EMOTIONS)
    assert len(unknown.networks) == 1
    assert "no store with videollama/video (--features)" in unknown.table()


def test_steps_disk_and_memory():
    options = AdaptOptions.of(
        backbones=("timm",), backbone_options=("timm.model=test_efficientnet",), method="full",
        per_device_train_batch_size=4, gradient_accumulation_steps=2, num_train_epochs=3,
        save_total_limit=2, head_options={"hidden": "4"},
    )  # fmt: skip
    found = forecast(options, ClipCounts(33, 50, 2.0), EMOTIONS, world_size=2)
    assert (found.step_clips, found.steps) == (16, 9)
    assert forecast(options.replace(max_steps=7), ClipCounts(33, 50), EMOTIONS).steps == 7
    assert found.checkpoint_bytes == 12 * found.trained
    assert found.disk_bytes == (
        found.inputs_bytes + 3 * found.checkpoint_bytes + found.weights_bytes
    )
    both = 4 * found.trained + found.kept_bytes
    assert found.memory_bytes == 4 * found.every + 12 * found.trained + both  # 2 processes
    alone = forecast(options.replace(accumulate=1), ClipCounts(33, 50, 2.0), EMOTIONS)
    larger = max(4 * alone.trained, alone.kept_bytes)
    assert alone.memory_bytes == 4 * alone.every + 8 * alone.trained + larger
    twice = forecast(options.replace(batch_size=8), ClipCounts(33, 50), EMOTIONS)
    assert twice.kept_bytes == pytest.approx(2 * found.kept_bytes, rel=0.01)


@pytest.mark.parametrize("checkpoints", [False, True])
def test_what_is_kept_is_what_a_real_forward_pass_keeps(checkpoints):
    """A tiny model: the skeleton keeps the bytes that the loaded model keeps."""
    real = LanguageBind.tiny()
    options = AdaptOptions.of(
        target_modules=("q_proj", "fc1"), gradient_checkpointing=checkpoints,
        backbones=("languagebind",),
    )  # fmt: skip
    given = {"m": inputs(real, 2)}
    apply_method({"m": real}, options, given)
    expected = real_bytes(real, options, given["m"])
    skeleton = LanguageBind.skeleton(real.options)
    apply_method({"m": skeleton}, options, given)
    assert kept_bytes({"m": skeleton}, options, given) == expected


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_peak_memory_is_that_of_the_forecast(method, tmp_path):
    """LanguageBind's text encoder in its published size, of random weights; two steps.

    glibc keeps freed memory of middle size; with MALLOC_MMAP_THRESHOLD_ it gives it back, so that
    the peak is what is needed.
    """
    text = CONFIGS / "LanguageBind/LanguageBind_Video_FT/config.json"
    sizes = json.loads(text.read_text())["text_config"]
    write_repository(tmp_path / "weights", "video", text=sizes)
    rows = [f"c{k},some words {k},{'ab'[k % 2]},{s}" for k, s in enumerate(("train",) * 12 + (
        "val", "val", "test", "test"))]  # fmt: skip
    (tmp_path / "m.csv").write_text("\n".join(["id,text,label,split", *rows]) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.adapt.peak", tmp_path / "weights", tmp_path, method],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured, expected = map(int, done.stdout.split()[-2:])
    print(f"{method}: {measured / 2**30:.2f} GiB, forecast {expected / 2**30:.2f}")
    assert measured == pytest.approx(expected, rel=0.1)


def real_bytes(model, options, batch):
    from emo.adapt.method.layers import layers_again

    kept = {}

    def keep(tensor):
        memory = tensor.untyped_storage()
        kept[memory._cdata] = memory
        return tensor

    own = {
        tensor.untyped_storage()._cdata
        for network in model.networks().values()
        for tensor in (*network.parameters(), *network.buffers())
    }
    for network in model.networks().values():
        network.train()
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with (
        layers_again({"m": model}, is_on=options.gradient_checkpointing),
        model.training(), torch.enable_grad(), hooks,
    ):  # fmt: skip
        results = model.forward(batch)
    assert results
    return sum(memory.nbytes() for key, memory in kept.items() if key not in own)


def test_a_dry_run_reads_the_manifest_and_writes_nothing(weights, clips, emo, tmp_path):
    options = options_of(weights)
    found = dry_run(read_manifest(clips), (), options)
    assert (found.clips.train, found.clips.every, found.step_clips) == (27, 42, 8)
    assert found.steps == 8
    assert typical_seconds(read_manifest(clips)) == 3.0
    code, out, said = emo(
        "adapt", str(clips), "--backbone", "languagebind", "-o", f"languagebind.weights={weights}",
        "-o", "languagebind.streams=text", "--target-modules", "q_proj,v_proj,fc1",
        "--out", str(tmp_path / "adapted"), "--dry-run",
    )  # fmt: skip
    assert (code, said) == (0, "")
    assert f"{found.trained:,}" in out
    assert not (tmp_path / "adapted").exists()


def test_configurations_that_come_with_emo_stand_in_for_hubs_alone(weights, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("EMO_WEIGHTS", raising=False)
    found, brought = with_published(LanguageBind, LanguageBind.Options(streams="audio"))
    assert brought == ("LanguageBind/LanguageBind_Audio_FT",)
    assert found.audio_weights == str(CONFIGS / "LanguageBind" / "LanguageBind_Audio_FT")
    own = LanguageBind.Options(weights=weights, streams="text")
    assert with_published(LanguageBind, own) == (own, ())
    with pytest.raises(WeightsError) as raised:
        with_published(LanguageBind, LanguageBind.Options(weights="LanguageBind/LanguageBind_Huge"))
    assert "LanguageBind/LanguageBind_Video_FT" in "".join(raised.value.more_lines)
    assert with_published(TimmModel, TimmModel.Options())[1] == ()  # it needs none
