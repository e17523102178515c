"""Fuzz one reader with atheris: ``python -m tests.hostile.fuzzing part --minutes 10``.

atheris is no dependency of the project: ``pip install atheris`` first. An input that breaks a claim
is written to ``crash-…`` in the current folder, and its error is printed.
"""

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["emo"]):
    from tests.hostile.fuzzing.mutate import mutated
    from tests.hostile.fuzzing.readers import READERS


def main() -> None:
    """Fuzz the reader that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--inputs", nargs="*", default=[], help="further first inputs")
    given = parser.parse_args()
    reader = READERS[given.reader]
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    (folder / "files").mkdir()
    seeds = [*reader.prepare(folder / "files"), *map(Path, given.inputs)]
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed.read_bytes())
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)  # the readers' own lines; libFuzzer writes to stderr

    def one(data: bytes) -> None:
        try:
            reader.ask(folder / "files", data)
        except BaseException:
            traceback.print_exc(limit=-12)
            raise

    def change(data: bytes, most: int, seed: int) -> bytes:
        new = mutated(bytes(data), seed, lambda each: atheris.Mutate(each, max(most, 1)))
        return new[:most]

    words = [
        sys.argv[0], str(corpus), f"-max_total_time={int(60 * given.minutes)}", "-timeout=90",
        "-rss_limit_mb=3000", "-max_len=65536", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup(words, one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
