"""Find names of clips, such as ids and paths, that tell a label which is to be hidden."""

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_MARGIN = 0.15
"""By how much a share of right answers must exceed chance to be reported."""
_RARE = 1e-4
"""Probability below which that many right answers are not chance; some 100 parts are tried."""
_WORD = 3
"""Fewest letters of a label that is looked for in a name."""
_MOST_LETTERS = 64
"""How many first letters of a name are also tried one by one, as in ``03a01Fa`` of Emo-DB."""
_CLASSES = 20
"""Number of different numbers from which a target is cut into three ranges."""


@dataclass(frozen=True)
class Telling:
    """A part of a clip's name that tells a hidden label."""

    what: str
    """What tells it, such as ``part 3 of the id, such as 'ANG'``."""
    target: str
    """Column of the label."""
    share: float
    """Share of the hidden labels that it tells."""
    chance: float
    """Share of the most frequent class of the hidden labels."""

    def line(self) -> str:
        """Return a sentence for people."""
        return (
            f"{self.what} tells {self.share:.0%} of the hidden cells of {self.target} "
            f"(chance: {self.chance:.0%})"
        )


def telling_of(
    what: str, names: Mapping[str, str], target: str, labels: Mapping[str, str], hidden: set[str]
) -> Telling | None:
    """Return the part of a kind of name that tells the most hidden labels; None: none does.

    Args:
        what: kind of the names, such as ``id``.
        names: clip id -> name.
        target: column of the labels.
        labels: clip id -> label.
        hidden: ids of the clips whose labels are to be hidden. A part is learnt from the labels of
            the other clips, or where there are none, from the other hidden ones.
    """
    classes = _classes({clip_id: cell for clip_id, cell in labels.items() if clip_id in names})
    asked = [clip_id for clip_id in classes if clip_id in hidden]
    if not asked:
        return None
    chance = Counter(classes[clip_id] for clip_id in asked).most_common(1)[0][1] / len(asked)
    if word := _with_label(names, labels, asked):
        return Telling(f"the label itself in the {what}, such as {word[0]!r},", target, word[1],
                       chance)  # fmt: skip
    parts = {clip_id: dict(_parts(names[clip_id])) for clip_id in classes}
    known = [clip_id for clip_id in classes if clip_id not in hidden]
    best: Telling | None = None
    for position in dict.fromkeys(key for each in parts.values() for key in each):
        values = {clip_id: found[position] for clip_id, found in parts.items() if position in found}
        right = _right(values, classes, asked, known)
        best = _better(best, f"{position} of the {what}, such as {values[next(iter(values))]!r},",
                       target, right, len(asked), chance)  # fmt: skip
    right = _right_by_order(names, classes, asked, known)
    return _better(best, f"the order of the {what}s", target, right, len(asked), chance)


def _better(
    best: Telling | None, what: str, target: str, right: int, asked: int, chance: float
) -> Telling | None:
    """Return the part if it tells more than chance and more than ``best``, else ``best``."""
    share = right / asked
    if share < chance + _MARGIN or _tail(right, asked, chance) > _RARE:
        return best
    return best if best and best.share >= share else Telling(what, target, share, chance)


def _tail(right: int, asked: int, chance: float) -> float:
    """Return the probability of at least ``right`` right answers of ``asked`` by chance."""
    return sum(
        math.exp(
            math.lgamma(asked + 1) - math.lgamma(k + 1) - math.lgamma(asked - k + 1)
            + k * math.log(chance) + (asked - k) * math.log1p(-chance)
        )
        for k in range(right, asked + 1)
    ) if chance < 1 else 1.0  # fmt: skip


def _parts(name: str) -> Iterator[tuple[str, str]]:
    """Iterate over the parts of a name: a position, such as ``part 2``, and what stands there."""
    for kind, words in (
        ("part", re.findall(r"[^\W_]+", name)),
        ("letters", re.findall(r"[^\W\d_]+", name)),
        ("number", re.findall(r"\d+", name)),
        ("character", list(name[:_MOST_LETTERS])),
    ):
        for index, word in enumerate(words):
            yield f"{kind} {index + 1}", word
            if kind == "part":
                yield f"{kind} -{len(words) - index}", word


def _right(
    values: Mapping[str, str],
    classes: Mapping[str, str],
    asked: Sequence[str],
    known: Sequence[str],
) -> int:
    """Count the hidden labels that the most frequent class of clips with the same value is."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for clip_id in known or asked:
        if clip_id in values:
            counts[values[clip_id]][classes[clip_id]] += 1
    right = 0
    for clip_id in asked:
        found = counts.get(values.get(clip_id, ""), Counter[str]())
        if not known:
            found = found - Counter([classes[clip_id]])
        right += bool(found) and found.most_common(1)[0][0] == classes[clip_id]
    return right


def _right_by_order(
    names: Mapping[str, str],
    classes: Mapping[str, str],
    asked: Sequence[str],
    known: Sequence[str],
) -> int:
    """Count the hidden labels that the next known clip before, in the order of names, has."""
    teachers, last, right = set(known or asked), "", 0
    wanted = set(asked)
    for clip_id in sorted(classes, key=lambda each: (_natural(names[each]), _scattered(each))):
        right += clip_id in wanted and classes[clip_id] == last
        last = classes[clip_id] if clip_id in teachers else last
    return right


def _scattered(clip_id: str) -> bytes:
    """Return a key that orders clips with one name in a way that no label has a part in."""
    return hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).digest()


def _natural(name: str) -> list[tuple[int, Hashable]]:
    """Return a key that sorts ``c9`` before ``c10``."""
    words = re.findall(r"\d+|\D+", name)
    return [(0, int(word)) if word.isdecimal() else (1, word) for word in words]


def _with_label(
    names: Mapping[str, str], labels: Mapping[str, str], asked: Sequence[str]
) -> tuple[str, float] | None:
    """Return a hidden clip whose name holds its own label, and their share; None: none.

    A label that stands in the names of clips with other labels as often tells nothing.
    """
    words = {cell.lower() for cell in labels.values() if len(cell) >= _WORD and cell.isalpha()}
    own, other, example = 0, 0, ""
    for clip_id in asked:
        found = {word.lower() for word in re.findall(r"[^\W\d_]+", names[clip_id])} & words
        is_own = labels[clip_id].lower() in found
        own, other = own + is_own, other + (bool(found) and not is_own)
        example = example or (names[clip_id] if is_own else "")
    return (example, own / len(asked)) if own > other else None


def _classes(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Return labels as classes: many different numbers are cut into three ranges."""
    if len({*labels.values()}) < _CLASSES:
        return labels
    try:
        numbers = {clip_id: float(cell) for clip_id, cell in labels.items()}
    except ValueError:
        return labels
    ordered = sorted(numbers.values())
    low, high = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]
    return {
        clip_id: "low" if number < low else "high" if number >= high else "middle"
        for clip_id, number in numbers.items()
    }
