"""Stand-ins for sbatch, squeue and scontrol that run an array's tasks at once, one by one.

squeue prints the file ``queue``. sbatch runs the very script that a real Slurm would; tests of a
real one have the marker ``slurm``.
"""

import stat
from pathlib import Path

_SBATCH = """#!/bin/bash
# sbatch --parsable --array=0-2,5%4 SCRIPT OFFSET; with --dependency: remembered, not run
home={home}
id=$(( 100 + $(ls "$home" | wc -l) ))
echo "$@" > "$home/call-$id"
echo $id
{end}case "$2" in --dependency*) exit 0;; esac
array=${{2#--array=}}; array=${{array%%%*}}
for span in ${{array//,/ }}; do
  for index in $(seq "${{span%-*}}" "${{span#*-}}"); do
    SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$index bash "$3" "$4" >> "$home/../out" 2>&1 || true
  done
done
"""
_SCONTROL = "#!/bin/bash\necho 'MaxArraySize            = 1001'\n"
_SQUEUE = "#!/bin/bash\ncat {home}/../queue 2>/dev/null || true\n"


def install(folder: Path, *, runs: bool = True) -> Path:
    """Write the commands; returns the folder for PATH. Calls are kept in ``folder/calls``.

    With ``runs=False`` every array is taken and nothing is run.
    """
    calls, commands = folder / "calls", folder / "bin"
    calls.mkdir()
    commands.mkdir()
    for name, text in (("sbatch", _SBATCH), ("scontrol", _SCONTROL), ("squeue", _SQUEUE)):
        file = commands / name
        end = "" if runs else "exit 0; "
        file.write_text(text.format(home=calls, end=end) if name != "scontrol" else text)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return commands
