"""Break ten laws, one line each, and see that a test of each fails: `make mutations`.

A copy of the repository is changed, not the repository itself. For each law the named tests run
twice: unchanged they pass, with the broken line at least one fails. Exit code 0: all are caught.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAILED = 1
"""Exit code of pytest when a test failed; others mean that none ran, or that collecting broke."""


@dataclass(frozen=True)
class Mutation:
    """One law, and the line that breaks it."""

    law: str
    """What holds, in words."""
    file: str
    """File with the line, from the root."""
    line: str
    """Text that stands in the file once."""
    broken: str
    """What takes its place."""
    tests: str
    """File or folder of the tests that hold the law."""


MUTATIONS = (
    Mutation(
        "scaling is fitted on the clips of train alone", "emo/heads/data/stream_scaling.py",
        "tokens = loaded.tokens[source.name].subset(train)\n    if loaded.speakers is None",
        "tokens = loaded.tokens[source.name]\n    if loaded.speakers is None",
        "tests/heads/data/test_data.py",
    ),
    Mutation(
        "folds keep speakers and dialogues together", "emo/heads/data/folds.py",
        'cutter = StratifiedKFold if kind == "clips" else StratifiedGroupKFold',
        "cutter = StratifiedKFold",
        "tests/heads/data/test_folds.py",
    ),
    Mutation(
        "a mean is taken over a clip's own tokens", "emo/heads/layers/segments.py",
        "return segment_sum(values, offsets) / lengths[:, None]",
        "return segment_sum(values, offsets) / lengths.max()",
        "tests/heads/layers/test_segments.py",
    ),
    Mutation(
        "a committed file is never replaced", "emo/store/backend/commit.py",
        "os.link(temporary, final)", "os.replace(temporary, final)",
        "tests/store/backend/test_commit.py",
    ),
    Mutation(
        "damaged tokens are not read", "emo/store/part/reader.py",
        "        if wrong:\n            raise DamagedPart(",
        "        if False:\n            raise DamagedPart(",
        "tests/store/part",
    ),
    Mutation(
        "clips that weights have seen are not scored", "emo/heads/data/seen_clips.py",
        "            if both:\n", "            if both and not ours:\n",
        "tests/adapt/test_leaks.py",
    ),
    Mutation(
        "weighted F1 weighs by the labelled clips", "emo/heads/metrics/classes.py",
        "clips = counts_of(counts).gold\n", "clips = counts_of(counts).predicted\n",
        "tests/heads/metrics/test_classes.py",
    ),
    Mutation(
        "padding of an import is cut off", "emo/store/exchange/named_arrays.py",
        "np.minimum(lengths, longest)", "np.full(clips, longest)",
        "tests/store/interop/test_foreign_arrays.py",
    ),
    Mutation(
        "a hole in a file's sound keeps its time", "emo/extract/decode/sound/timeline.py",
        "gap = max(0, start - self._covered)", "gap = 0",
        "tests/extract/decode/test_timeline.py",
    ),
    Mutation(
        "a clip is refused before its decoded size is allocated", "emo/extract/decode/budget.py",
        "if self._held + resampled_bytes(count, sample_rate) > self._most:",
        "if count < 0:",
        "tests/hostile/test_media_bombs.py",
    ),
)  # fmt: skip


def is_passing(copy: Path, tests: str) -> bool:
    """Run the usual tests of a file or folder in the copy; return whether all pass.

    Raises:
        SystemExit: no test ran, or pytest itself failed.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests]
    done = subprocess.run(
        command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode not in {0, FAILED}:
        raise SystemExit(f"pytest {tests} exits with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.returncode == 0


def is_caught(copy: Path, mutation: Mutation) -> bool:
    """Break one law in the copy, run its tests, mend it again; return whether a test failed.

    Raises:
        SystemExit: the line does not stand in the file once, or the tests fail without the change.
    """
    path = copy / mutation.file
    text = path.read_text()
    if text.count(mutation.line) != 1:
        raise SystemExit(f"{mutation.file}: expected once: {mutation.line!r}")
    if not is_passing(copy, mutation.tests):
        raise SystemExit(f"{mutation.tests} fails without a change")
    path.write_text(text.replace(mutation.line, mutation.broken))
    try:
        return not is_passing(copy, mutation.tests)
    finally:
        path.write_text(text)


def main() -> None:
    """Break each law in a copy of the files that git knows; print a line for each."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "emo"
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, copy / name)
        for mutation in MUTATIONS:
            caught = is_caught(copy, mutation)
            missed += not caught
            print(
                f"{'caught' if caught else 'MISSED'}  {mutation.law} ({mutation.tests})", flush=True
            )
    print(f"{len(MUTATIONS) - missed} of {len(MUTATIONS)} caught")
    raise SystemExit(min(missed, 1))


if __name__ == "__main__":
    main()
