"""Two processes with gloo: the losses of one, signals to one of them, kills, and resuming."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
HANGS_SECONDS = 600
ADAPTER = "adapter/languagebind/weights/adapter_model.safetensors"


def start(out, manifest, ranks, **fields):
    """Start the processes as torchrun does; returns them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    several = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.adapt.rank", str(out), str(manifest), json.dumps(fields)],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            | {"PYTHONFAULTHANDLER": "1"}
            | ({**several, "RANK": str(rank), "LOCAL_RANK": str(rank)} if ranks > 1 else {}),
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(ranks)
    ]  # fmt: skip


def ended(processes):
    """Exit codes and what was printed; processes that hang print where.

    Each start takes 12 s of processor, most of it for imports: minutes on a busy machine.
    """
    try:
        said = [each.communicate(timeout=HANGS_SECONDS) for each in processes]
    except subprocess.TimeoutExpired:
        for each in processes:
            each.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER: tracebacks of all threads
        said = [each.communicate() for each in processes]
        raise AssertionError("\n".join(out + err for out, err in said)) from None
    return [each.returncode for each in processes], "\n".join(out + err for out, err in said)


def losses(out):
    log = json.loads((out / "adapt.json").read_text())["log"]
    return [each["loss"] for each in log if "loss" in each]


def wait_for(path, seconds=HANGS_SECONDS):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)


def test_two_ranks_give_the_losses_of_one(weights, clips, tmp_path):
    fields = {"weights": weights, "head_options": {"dropout": "0"}, "method": "lora"}
    one, two = tmp_path / "one", tmp_path / "two"
    assert ended(start(one, clips, 1, per_device_train_batch_size=8, **fields))[0] == [0]
    codes, said = ended(start(two, clips, 2, per_device_train_batch_size=4, **fields))
    assert codes == [0, 0], said
    assert losses(one) == pytest.approx(losses(two), abs=1e-6)
    assert json.loads((two / "adapt.json").read_text())["world_size"] == 2


@pytest.mark.parametrize("ranks", [1, 2])
def test_killed_at_ten_steps_one_after_another_it_ends_with_the_same_bits(
    ranks, weights, clips, tmp_path, capsys
):
    """12 steps of 3 epochs; each start is killed by SIGKILL after another step, and goes on."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    fields = {
        "weights": weights, "per_device_train_batch_size": 8 // ranks, "lora_dropout": 0.1,
        "num_train_epochs": 3,
    }  # fmt: skip
    assert ended(start(whole, clips, ranks, **fields))[0] == [0] * ranks
    told = []
    for step in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 0):
        processes = start(out, clips, ranks, save_steps=1, killed=step,
                          words={"resume": step != 1}, **fields)  # fmt: skip
        codes, said = ended(processes)
        assert (-signal.SIGKILL in codes) if step else (codes == [0] * ranks), said
        told += [line for line in said.splitlines() if "going on" in line or "beginning" in line]
    ours, theirs = load_file(out / ADAPTER), load_file(whole / ADAPTER)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    with capsys.disabled():
        print(f"\n{ranks} ranks: {'; '.join(told)}: same bits")


def test_a_signal_to_one_rank_stops_both_and_they_go_on_to_the_same_bits(weights, clips, tmp_path):
    fields = {"weights": weights, "per_device_train_batch_size": 4, "lora_dropout": 0.1}
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert ended(start(whole, clips, 2, **fields))[0] == [0, 0]
    processes = start(out, clips, 2, slow=0.4, **fields)
    wait_for(out / "rank-1.pid")
    os.kill(int((out / "rank-1.pid").read_text()), signal.SIGUSR1)
    codes, said = ended(processes)
    assert codes == [75, 75], said
    assert len(list((out / "checkpoints").glob("checkpoint-*"))) == 1
    processes = start(out, clips, 2, slow=0.4, save_steps=1, words={"resume": True}, **fields)
    time.sleep(0.1)
    newest = max(int(p.name[11:]) for p in (out / "checkpoints").glob("checkpoint-*"))
    wait_for(out / f"checkpoints/checkpoint-{newest + 1}/complete.json")
    for each in processes:
        each.kill()
    ended(processes)
    codes, said = ended(start(out, clips, 2, words={"resume": True}, **fields))
    assert codes == [0, 0], said
    ours, theirs = load_file(out / ADAPTER), load_file(whole / ADAPTER)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    codes, said = ended(start(tmp_path / "out", clips, 1, words={"overwrite": True}, **fields))
    assert codes == [0], said
