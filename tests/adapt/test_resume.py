"""Checkpoints: a killed adaptation goes on to the same bits, a signal ends it with exit code 75."""

import os
import signal

import pytest
import torch

from emo.adapt import adapt as adapting
from emo.adapt import finish as finishing
from emo.adapt.finish import Finished
from emo.adapt.options import AdaptOptions
from emo.adapt.training.checkpoints import MARK, check_disk, newest_complete
from emo.adapt.training.stop import StopFlag
from emo.adapt.training.trainer import Flow, is_better
from emo.errors import FitError, OptionError
from emo.store.recipe import Recipe, StreamSpec
from emo.store.store import Store
from tests.adapt.conftest import options_of, run_adapt


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


def short(weights, **fields):
    """Two epochs of 4 steps with dropout everywhere."""
    return options_of(weights, lora_dropout=0.1, lora_bias="all", **fields)


def train(clips, out, options, **words):
    """Train without what comes after; returns the tensors, or the report of a stopped training."""
    taken = []

    def finish(*given, rounds, **_):
        module = given[8]
        taken.append({name: each.clone() for name, each in module.state_dict().items()})
        taken.append([row.round for row in rounds])
        return Finished(None, None, ())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(adapting, "finish", finish)
        report = run_adapt(clips, out, options, **words)
    return taken or report


@pytest.fixture(scope="module")
def whole(weights, clips, tmp_path_factory):
    """Tensors of a training that nothing interrupts."""
    return train(clips, tmp_path_factory.mktemp("whole") / "out", short(weights))


def killed_at(step, monkeypatch):
    """Let the process die after a step."""
    go_on = Flow.on_step_end

    def on_step_end(self, args, state, control, **words):
        if state.global_step == step:
            raise Killed
        go_on(self, args, state, control, **words)

    monkeypatch.setattr(Flow, "on_step_end", on_step_end)


def is_same(found, whole):
    """Whether two trainings ended with the same bits and epochs."""
    (tensors, rounds), (others, expected) = found, whole
    assert rounds == expected == [1, 2]
    assert tensors.keys() == others.keys()
    return all(torch.equal(tensors[name], others[name]) for name in tensors)


@pytest.mark.parametrize(("step", "save_steps"), [(1, None), (3, 1), (6, 2)])
def test_a_killed_adaptation_goes_on_to_the_same_bits(
    step, save_steps, weights, clips, whole, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    killed_at(step, monkeypatch)
    with pytest.raises(Killed):
        train(clips, out, short(weights, save_steps=save_steps))
    monkeypatch.undo()
    with pytest.raises(FitError, match="--resume goes on with it"):
        run_adapt(clips, out, short(weights, save_steps=save_steps))
    found = train(clips, out, short(weights, save_steps=save_steps), resume=True)
    said = capsys.readouterr().out
    last = {1: "beginning anew", 3: "checkpoint-2", 6: "checkpoint-4"}[step]
    assert last in said
    assert is_same(found, whole)


def test_a_torn_checkpoint_is_skipped_in_a_line(
    weights, clips, whole, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    killed_at(7, monkeypatch)
    with pytest.raises(Killed):
        train(clips, out, short(weights, save_steps=1, save_total_limit=3))
    monkeypatch.undo()
    newest = out / "checkpoints/checkpoint-6"
    (newest / "optimizer.pt").write_bytes((newest / "optimizer.pt").read_bytes()[:-9])
    (out / "checkpoints/checkpoint-7").mkdir()
    capsys.readouterr()
    found = train(clips, out, short(weights, save_total_limit=3), resume=True)
    said = capsys.readouterr().out
    assert "checkpoint-7 is not complete (it was not finished): skipped" in said
    assert "checkpoint-6 is not complete (optimizer.pt has" in said
    assert "going on with checkpoint-5" in said
    assert is_same(found, whole)


def test_a_signal_ends_it_after_the_step_with_one_checkpoint(
    weights, clips, whole, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    go_on = StopFlag.is_raised_anywhere
    calls = []

    def is_raised_anywhere(self, device):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGUSR1)
        return go_on(self, device)

    with monkeypatch.context() as patched:
        patched.setattr(StopFlag, "is_raised_anywhere", is_raised_anywhere)
        report = run_adapt(clips, out, short(weights))
    assert report.exit_code == 75
    assert report.lines == ("stopped by a signal at step 3; --resume goes on",)
    assert [p.name for p in (out / "checkpoints").glob("checkpoint-*")] == ["checkpoint-3"]
    with pytest.raises(OptionError, match="made with 8 clips a step"):
        run_adapt(clips, out, short(weights, per_device_train_batch_size=4), resume=True)
    with pytest.raises(OptionError, match="was made with other options"):
        run_adapt(clips, out, short(weights, learning_rate=1e-3), resume=True)
    assert is_same(train(clips, out, short(weights), resume=True), whole)


def test_a_kill_while_the_folder_is_written_costs_no_training(
    weights, clips, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"

    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(finishing, "write_weights", killed)
        with pytest.raises(Killed):
            run_adapt(clips, out, short(weights))
    assert not (out / "weights").exists()
    assert not (out / "run").exists()
    report = run_adapt(clips, out, short(weights), resume=True)
    assert "going on with checkpoint-8" in capsys.readouterr().out
    assert report.finished is not None
    assert {path.name for path in out.iterdir()} == {
        "adapt.json", "clips.csv", "contents.csv", "weights", "adapter", "run", "inputs",
    }  # fmt: skip


def test_the_best_epoch_on_val_is_kept_also_after_a_kill(weights, clips, tmp_path, monkeypatch):
    """By the score, unless told otherwise; the rate grows until the third epoch is worse."""
    options = short(
        weights, num_train_epochs=3, learning_rate=0.01, lr_scheduler_type="constant", max_steps=11,
        warmup_steps=11, load_best_model_at_end=True,
    )  # fmt: skip

    def kept(out, **words):
        taken = []

        def finish(*given, rounds, facts, **_):
            taken.append({name: each.clone() for name, each in given[8].state_dict().items()})
            taken.append(rounds)
            return Finished(None, None, ())

        with monkeypatch.context() as patched:
            patched.setattr(adapting, "finish", finish)
            run_adapt(clips, out, options, **words)
        return taken

    with monkeypatch.context() as patched:
        killed_at(9, patched)
        with pytest.raises(Killed):
            kept(tmp_path / "a")
    tensors, rounds = kept(tmp_path / "a", resume=True)
    again, _ = kept(tmp_path / "b")
    scores = [each.val_score for each in rounds]
    best = scores.index(max(scores))
    assert best < len(scores) - 1
    assert [each.is_best for each in rounds] == [k == best for k in range(len(rounds))]
    stored = torch.load(tmp_path / f"b/checkpoints/best-{4 * (best + 1)}.pt")
    assert len(list((tmp_path / "b/checkpoints").glob("best-*"))) == 1
    for name, each in tensors.items():
        assert torch.equal(each, again[name])
        assert torch.equal(each, stored[name])


def test_the_score_on_val_says_which_epoch_is_best():
    """The loss on val grows in an epoch in which more clips become right."""
    by = AdaptOptions.of(backbones=("timm",)).metric_for_best_model
    later = {"val_score": 0.5, "val_loss": 1.4}
    assert is_better(later, by, 0.2)
    assert not is_better(later, by, 0.5)
    assert not is_better(later, "loss", 1.1)
    assert not is_better({"val_score": float("nan"), "val_loss": 1.0}, by, None)


def test_a_disk_without_room_for_two_checkpoints_is_refused(tmp_path):
    check_disk(tmp_path, 1000)
    with pytest.raises(FitError, match="two checkpoints take"):
        check_disk(tmp_path, 2**60)


def test_a_damaged_mark_is_no_mark(tmp_path):
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-3" / MARK).write_text("{")
    found, lines = newest_complete(tmp_path)
    assert found is None
    assert "is damaged" in lines[0]


def test_tokens_of_another_backbone_are_not_resumed(weights, clips, tmp_path):
    recipe = Recipe("languagebind", {"text": StreamSpec(3, "float32")})
    begun = tmp_path / "out" / "checkpoints" / "frozen-tokens"
    begun.parent.mkdir(parents=True)
    Store.create(begun).add_recipe("languagebind", recipe)
    with pytest.raises(OptionError, match=r"begun with another languagebind: .* --overwrite inst"):
        run_adapt(clips, tmp_path / "out", options_of(weights), resume=True)
