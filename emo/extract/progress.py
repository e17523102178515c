"""The bar of a running job on stderr: clips a second, time left, failures so far."""

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from emo.extract.executor import Progress


@contextmanager
def clip_bar(clips: int, shown: bool | None) -> Iterator[Progress]:
    """A bar of ``clips``; ``shown`` None: when stderr is a terminal."""
    failed = 0
    with tqdm(
        total=clips, unit="clip", desc="extract", disable=None if shown is None else not shown
    ) as bar:

        def on_clip(is_failed: bool) -> None:
            nonlocal failed
            failed += is_failed
            if is_failed:
                bar.set_postfix(failed=failed, refresh=False)
            bar.update()

        yield Progress(on_clip)
