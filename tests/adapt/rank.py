"""One process of an adaptation, for tests: ``python -m tests.adapt.rank OUT MANIFEST OPTIONS``.

OPTIONS is JSON: fields of AdaptOptions, and ``words`` for the call; ``slow``: seconds of a step.
"""

import json
import os
import sys
import time
from pathlib import Path

from emo.adapt.training.stop import StopFlag
from tests.adapt.conftest import options_of, run_adapt


def main(out, manifest, text):
    fields = json.loads(text)
    words, slow = fields.pop("words", {}), fields.pop("slow", 0)
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
