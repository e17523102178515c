"""Make synthetic sentences: neutral templates with words that are typical of a class."""

from collections.abc import Mapping

import numpy as np

from emo.datasets.synthetic.plan import CLASSES

SUBJECTS = ("the meeting", "my sister", "the train", "the match", "that film", "the dinner")
EVENTS = ("is over", "was late", "starts again", "came back", "is here")
FILLERS = ("well", "so", "you know", "anyway", "listen", "okay")

OPENERS = {
    "angry": ("damn it", "how dare they"),
    "happy": ("hooray", "oh great"),
    "neutral": ("as planned", "by the way"),
    "sad": ("oh no", "sadly"),
}
REMARKS = {
    "angry": ("I hate it", "I hate this stupid mess", "it makes me so angry",
              "I am angry and sick of it", "what a stupid lie"),
    "happy": ("I love it", "I love this lovely surprise", "it makes me so happy",
              "I am happy and we laughed a lot", "what a lovely day"),
    "neutral": ("it is on the list", "the list has not changed", "it takes about an hour",
                "the usual time has not changed", "there are about ten of them as usual"),
    "sad": ("I feel alone", "I cried alone all night", "I have lost all hope",
            "I cried and nothing helps", "what a sad loss"),
}  # fmt: skip
SENTENCE_ENDINGS = {
    "angry": ("!", "!!", "?!"),
    "happy": ("!", "!", " :)"),
    "neutral": (".", ".", "."),
    "sad": ("...", ".", "..."),
}
TYPICAL_SHARE = 0.96
"""Probability that a blank of a sentence gets words of the shown class; otherwise of any class."""


def sentence(rng: np.random.Generator, shown: int) -> str:
    """Return a sentence for one clip.

    Args:
        rng: the clip's generator.
        shown: index of the shown class in ``CLASSES``.
    """
    opener = (
        _pick(rng, FILLERS) if rng.random() < 0.1 else _pick(rng, _words_for(rng, OPENERS, shown))
    )
    remark = _pick(rng, _words_for(rng, REMARKS, shown))
    ending = _pick(rng, _words_for(rng, SENTENCE_ENDINGS, shown))
    text = f"{opener}, {_pick(rng, SUBJECTS)} {_pick(rng, EVENTS)}, {remark}{ending}"
    return text[0].upper() + text[1:]


def _words_for(
    rng: np.random.Generator, pools: Mapping[str, tuple[str, ...]], shown: int
) -> tuple[str, ...]:
    """Return the texts to choose from for one blank: of the shown class, or rarely of any class."""
    typical = rng.random() < TYPICAL_SHARE
    return pools[CLASSES[shown if typical else int(rng.integers(len(CLASSES)))]]


def _pick(rng: np.random.Generator, pool: tuple[str, ...]) -> str:
    """Return a random one of several texts."""
    return pool[int(rng.integers(len(pool)))]
