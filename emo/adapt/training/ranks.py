"""The processes of an adaptation: their numbers where Slurm started them, one task a GPU."""

import os
import re

_FIRST_PORT, _PORTS = 20_000, 20_000


def set_slurm_ranks() -> None:
    """Set the variables that torch reads from those of Slurm, in a task that srun started.

    Variables that are set already, as by torchrun, stay. A batch script outside of srun has the
    variables of the job, but not those of a step, and is one process.
    """
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1") or 1)
    if tasks < 2 or "RANK" in os.environ or "SLURM_PROCID" not in os.environ:
        return
    job = int(os.environ.get("SLURM_JOB_ID", "0") or 0)
    nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST", "")
    os.environ["RANK"] = os.environ["SLURM_PROCID"]
    os.environ["WORLD_SIZE"] = str(tasks)
    os.environ["LOCAL_RANK"] = os.environ.get("SLURM_LOCALID", "0")
    os.environ.setdefault("MASTER_ADDR", first_host(nodes) or "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(_FIRST_PORT + job % _PORTS))


def first_host(nodes: str) -> str:
    """Return the first of the hosts in Slurm's short form, on which task 0 runs.

    >>> first_host("gpu[003-010,12],big1"), first_host("rack[0-1]n[4-7]"), first_host("box")
    ('gpu003', 'rack0n4', 'box')
    """
    flat = re.sub(r"\[(\w+)[^\]]*\]", r"\1", nodes)
    return flat.partition(",")[0].strip()
