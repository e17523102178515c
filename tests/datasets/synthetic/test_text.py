import numpy as np

from emo.datasets.synthetic.plan import CLASSES
from emo.datasets.synthetic.text import REMARKS, sentence


def sentences(shown, count=200):
    return [sentence(np.random.default_rng([shown, k]), shown) for k in range(count)]


def test_most_sentences_are_different():
    assert len(set(sentences(0))) > 160


def test_remarks_are_mostly_of_the_class_but_not_always():
    for shown, name in enumerate(CLASSES):
        own = np.mean([any(r in text for r in REMARKS[name]) for text in sentences(shown)])
        assert 0.8 < own < 0.99


def test_a_sentence_begins_with_a_capital_and_ends_with_a_mark():
    for text in sentences(2, 50):
        assert text[0].isupper()
        assert text[-1] in ".!)"
