"""One process of an adaptation, for tests: ``python -m tests.adapt.rank OUT MANIFEST OPTIONS``.

OPTIONS is JSON: fields of AdaptOptions, and ``words`` for the call; ``slow``: seconds of a step;
``killed``: step after which rank ``step % 2`` kills itself.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from emo.adapt.training.stop import StopFlag
from emo.adapt.training.trainer import Flow
from tests.adapt.conftest import options_of, run_adapt


def kill_at(step):
    """Let this process die by SIGKILL after a step, before its checkpoint is written."""
    after = Flow.on_step_end
    ranks = int(os.environ.get("WORLD_SIZE", 1))

    def on_step_end(self, args, state, control, **words):
        if state.global_step == step and int(os.environ.get("RANK", 0)) == step % ranks:
            os.kill(os.getpid(), signal.SIGKILL)
        after(self, args, state, control, **words)

    if step:
        Flow.on_step_end = on_step_end


def main(out, manifest, text):
    fields = json.loads(text)
    words, slow = fields.pop("words", {}), fields.pop("slow", 0)
    kill_at(fields.pop("killed", 0))
    go_on = StopFlag.is_raised_anywhere

    def slowly(self, device):
        Path(out, f"rank-{os.environ.get('RANK', 0)}.pid").write_text(str(os.getpid()))
        time.sleep(slow)
        return go_on(self, device)

    if slow:
        StopFlag.is_raised_anywhere = slowly
    weights = fields.pop("weights")
    fields["target_modules"] = ("q_proj", "v_proj")
    report = run_adapt(Path(manifest), Path(out), options_of(weights, **fields), **words)
    print("\n".join(report.lines), flush=True)
    sys.exit(report.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
