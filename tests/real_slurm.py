"""Starts a real Slurm of one node on this machine, without systemd; needs root, as slurmd does.

Debian: ``apt-get install slurm-wlm munge``. Everything lies in one scratch folder; jobs that have
ended are written to ``completed.txt`` there (jobcomp/filetxt), which `sacct -c` reads; without -c
it would need a database.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "sacct")
START_SECONDS = 30

_CONF = """\
ClusterName=emo
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
KillWait=10
ReturnToService=2
MaxArraySize={max_array_size}
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=low Nodes={host} Default=YES PriorityTier=1 PreemptMode=CANCEL
PartitionName=high Nodes={host} PriorityTier=9 PreemptMode=OFF
"""


class CannotStart(Exception):
    """Why there is no Slurm here."""


@contextmanager
def slurm(folder: Path, *, cpus: int = 4, max_array_size: int = 1001) -> Iterator[Path]:
    """While open, SLURM_CONF names a running Slurm; yields its scratch folder.

    Raises:
        CannotStart: a program is missing, this is not root, or no node came up in time.
    """
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        raise CannotStart(f"{', '.join(missing)} not installed (slurm-wlm, munge)")
    if os.geteuid() != 0:
        raise CannotStart("slurmd needs root")
    folder.mkdir(mode=0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    ports = dict(zip(("controller_port", "node_port"), _free_ports(2), strict=True))
    host = socket.gethostname().split(".")[0]
    conf.write_text(
        _CONF.format(folder=folder, host=host, cpus=cpus, max_array_size=max_array_size, **ports)
    )
    before = {name: os.environ.get(name) for name in ("SLURM_CONF", "PATH")}
    os.environ.update(SLURM_CONF=str(conf), PATH=_path())
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        _start(folder, daemons)
        yield folder
    finally:
        subprocess.run(["scancel", "--me", "--signal=KILL"], capture_output=True, check=False)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start(folder: Path, daemons: list["subprocess.Popen[bytes]"]) -> None:
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    munge = [
        "munged", "--foreground", "--force", f"--key-file={key}",
        f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
        f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
    ]  # fmt: skip
    for command in (munge, ["slurmctld", "-D", "-i"], ["slurmd", "-D"]):
        with (folder / f"{command[0]}.out").open("wb") as out:
            daemons.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT))
        if command is munge:
            _wait_until((folder / "munge.socket").exists, daemons, "munged made no socket")
    _wait_until(_is_idle, daemons, "the node did not become idle")


def _wait_until(is_so, daemons, what):
    end = time.monotonic() + START_SECONDS
    while not is_so():
        ended = [daemon.args[0] for daemon in daemons if daemon.poll() is not None]
        if ended or time.monotonic() > end:
            raise CannotStart(f"{what}; ended: {', '.join(ended) or 'none'}")
        time.sleep(0.2)


def _is_idle() -> bool:
    done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
    return "idle" in done.stdout


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
