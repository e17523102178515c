"""Scores of SemEval-2024 Task 3, emotion–cause pairs in conversations, from its JSON files.

Reimplemented from the official scorer, which adds 1e-8 to the denominator of every division.
Source: Wang et al. 2024 (arXiv:2405.13049).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from string import punctuation
from typing import Any, NamedTuple

from emo.errors import FitError

EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
"""The emotions that count; neutral does not."""
TINY = 1e-8
"""Added to denominators, as the official scorer does."""


class Pair(NamedTuple):
    """An utterance with an emotion and an utterance that causes it; both are counted from 1."""

    conversation: int
    """Number of the conversation."""
    utterance: int
    """Number of the utterance that has the emotion."""
    emotion: str
    cause: int
    """Number of the utterance that causes it."""
    begin: int = 0
    """First word of the cause in its utterance, counted from 0; 0 in subtask 2."""
    end: int = 0
    """Word past the last of the cause; 0 in subtask 2."""


def score_pairs(
    gold: Sequence[Mapping[str, Any]], predicted: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Score subtask 2, pairs of utterances.

    Args:
        gold: gold conversations, parsed from JSON.
        predicted: predicted conversations, parsed from JSON.

    Returns:
        Precision, recall and F1: ``w_p``, ``w_r``, ``w_f1`` weighted by each emotion's share of
        gold (``w_f1`` is the headline), and ``micro_p``, ``micro_r``, ``micro_f1``.

    Raises:
        FitError: a conversation is missing, or an emotion is unknown.
    """
    gold_pairs, found_pairs = set(_pairs(gold)), set(_pairs(predicted))
    _expect_all(gold, predicted)
    hits = Counter(pair.emotion for pair in gold_pairs & found_pairs)
    return _summary(
        hits, _by_emotion(found_pairs), hits, Counter(pair.emotion for pair in gold_pairs)
    )


def score_spans(
    gold: Sequence[Mapping[str, Any]], predicted: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Score subtask 1, whose causes are spans of words.

    Args:
        gold: gold conversations, parsed from JSON.
        predicted: predicted conversations, parsed from JSON.

    Returns:
        ``strict`` (equal spans count) and ``proportional`` (overlapping words count), each with the
        scores of :func:`score_pairs`; the headline is ``w_f1`` of ``strict``.

    Raises:
        FitError: a conversation is missing, or an emotion is unknown.
    """
    _expect_all(gold, predicted)
    gold_pairs = list(_spans_of_gold(gold))
    found_pairs = list(dict.fromkeys(_pairs(predicted, spans=True)))
    return {
        "strict": _strict(gold_pairs, found_pairs),
        "proportional": _proportional(gold_pairs, found_pairs),
    }


def _strict(gold: list[Pair], found: list[Pair]) -> dict[str, float]:
    """Score spans that must be equal."""
    left, hits = Counter(gold), Counter[str]()
    for pair in found:
        if left[pair]:
            left[pair] -= 1
            hits[pair.emotion] += 1
    return _summary(hits, _by_emotion(found), hits, _by_emotion(gold))


def _proportional(gold: list[Pair], found: list[Pair]) -> dict[str, float]:
    """Score spans by the number of words that they share with the best gold span."""
    by_key: dict[tuple[int, int, str, int], list[int]] = defaultdict(list)
    for index, pair in enumerate(gold):
        by_key[pair[:4]].append(index)
    overlap, matched, of_gold = Counter[str](), set[Pair](), Counter[str]()
    for pair in found:
        candidates = []
        for index in by_key[pair[:4]]:
            span = gold[index]
            shared = min(pair.end, span.end) - max(pair.begin, span.begin)
            if shared > 0:
                candidates.append((shared / (span.end - span.begin), shared, -index))
        if candidates:
            _, shared, negative = max(candidates)  # of equal ones, the first in gold
            best = gold[-negative]
            matched.add(best)
            overlap[pair.emotion] += shared
            of_gold[pair.emotion] += best.end - best.begin
    for pair in gold:
        of_gold[pair.emotion] += 0 if pair in matched else pair.end - pair.begin
    tokens = Counter[str]()
    for pair in found:
        tokens[pair.emotion] += pair.end - pair.begin
    return _summary(overlap, tokens, overlap, of_gold, shares=_by_emotion(gold))


def _summary(
    hits: Mapping[str, int],
    predicted: Mapping[str, int],
    recalled: Mapping[str, int],
    gold: Mapping[str, int],
    *,
    shares: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """Compute weighted and micro precision, recall and F1.

    Args:
        hits: emotion -> correct pairs (or words) among the predicted.
        predicted: emotion -> predicted pairs (or words).
        recalled: emotion -> gold pairs (or words) that were found.
        gold: emotion -> gold pairs (or words).
        shares: emotion -> weight; None: ``gold``.
    """
    shares = shares or gold
    total = sum(shares.get(emotion, 0) for emotion in EMOTIONS)
    found = {"w_p": 0.0, "w_r": 0.0, "w_f1": 0.0}
    for emotion in EMOTIONS:
        p = hits.get(emotion, 0) / (predicted.get(emotion, 0) + TINY)
        r = recalled.get(emotion, 0) / (gold.get(emotion, 0) + TINY)
        for name, value in (("w_p", p), ("w_r", r), ("w_f1", _f1(p, r))):
            found[name] += shares.get(emotion, 0) / (total + TINY) * value
    micro_p = sum(hits.values()) / (sum(predicted.values()) + TINY)
    micro_r = sum(recalled.values()) / (sum(gold.values()) + TINY)
    return found | {"micro_p": micro_p, "micro_r": micro_r, "micro_f1": _f1(micro_p, micro_r)}


def _f1(precision: float, recall: float) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * precision * recall / (precision + recall + TINY)


def _by_emotion(pairs: Iterable[Pair]) -> Counter[str]:
    """Return emotion -> number of pairs."""
    return Counter(pair.emotion for pair in pairs)


def _pairs(conversations: Sequence[Mapping[str, Any]], *, spans: bool = False) -> Iterable[Pair]:
    """Iterate over the pairs in predictions (or gold of subtask 2), without those of neutral."""
    for conversation in conversations:
        for first, second in conversation["emotion-cause_pairs"]:
            utterance, emotion = _emotion(conversation, first)
            if emotion == "neutral":
                continue
            cause, *ends = map(int, str(second).split("_"))
            if len(ends) != 2 * spans:
                raise FitError(
                    f"conversation {conversation['conversation_ID']}: cause {second!r}: expected "
                    + ("UTTERANCE_BEGIN_END" if spans else "the utterance's number")
                )
            yield Pair(conversation["conversation_ID"], utterance, emotion, cause, *ends)


def _spans_of_gold(conversations: Sequence[Mapping[str, Any]]) -> Iterable[Pair]:
    """Iterate over gold pairs of subtask 1, and find the positions of their causes.

    Gold gives a cause as words; its span is where these words, without punctuation at the ends,
    first occur in the utterance. One cause of the public test set ends within a word; its span is
    empty, as in the official scorer.
    """
    for conversation in conversations:
        texts = {int(u["utterance_ID"]): u["text"].split() for u in conversation["conversation"]}
        for first, second in conversation["emotion-cause_pairs"]:
            utterance, emotion = _emotion(conversation, first)
            number, _, words = str(second).partition("_")
            span, text = _trimmed(words.split()), texts[int(number)]
            starts = range(len(text) - len(span) + 1)
            begin = next((k for k in starts if text[k : k + len(span)] == span), None)
            ends = (0, 0) if begin is None else (begin, begin + len(span))
            where = (conversation["conversation_ID"], utterance, emotion, int(number))
            yield Pair(*where, *ends)


def _trimmed(words: list[str]) -> list[str]:
    """Remove words of punctuation alone from both ends."""
    while words and all(letter in punctuation for letter in words[0]):
        words = words[1:]
    while words and all(letter in punctuation for letter in words[-1]):
        words = words[:-1]
    return words


def _emotion(conversation: Mapping[str, Any], cell: str) -> tuple[int, str]:
    """Split ``3_joy`` into the number of the utterance and the emotion."""
    utterance, _, emotion = cell.partition("_")
    if emotion not in (*EMOTIONS, "neutral"):
        raise FitError(
            f"conversation {conversation['conversation_ID']}: unknown emotion {emotion!r}; "
            f"expected one of {', '.join(EMOTIONS)} or neutral"
        )
    return int(utterance), emotion


def _expect_all(gold: Sequence[Mapping[str, Any]], predicted: Sequence[Mapping[str, Any]]) -> None:
    """Raise FitError when a gold conversation is not predicted."""
    found = {conversation["conversation_ID"] for conversation in predicted}
    missing = [c["conversation_ID"] for c in gold if c["conversation_ID"] not in found]
    if missing:
        raise FitError(f"{len(missing)} conversations are not predicted, the first: {missing[0]}")
