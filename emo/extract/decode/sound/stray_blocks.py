"""Leave out decoded blocks of another format than those around them: garbage from damaged bytes."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from emo.extract.decode.sound.timeline import DecodedSound

_AHEAD = 4
"""Blocks among which the format before must come back; else the format really changes."""


def without_strays(blocks: Iterable[DecodedSound]) -> Iterator[DecodedSound]:
    """Yield the blocks; the one after a block that was left out counts as after damage."""
    waiting: deque[DecodedSound] = deque()
    usual: tuple[int, int] | None = None
    is_after_stray = False
    iterator, is_open = iter(blocks), True
    while is_open or waiting:
        while is_open and len(waiting) <= _AHEAD:
            block = next(iterator, None)
            is_open = block is not None
            waiting.extend([] if block is None else [block])
        if not waiting:
            return
        block = waiting.popleft()
        usual = usual or _format_of(block)
        if _format_of(block) != usual and usual in map(_format_of, waiting):
            is_after_stray = True
            continue
        usual = _format_of(block)
        yield replace(block, is_after_damage=True) if is_after_stray else block
        is_after_stray = False


def _format_of(block: DecodedSound) -> tuple[int, int]:
    return block.rate, len(block.samples)
