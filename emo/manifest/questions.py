"""Tell by which word a question begins, as papers on questions about videos report accuracy."""

import re

QUESTION_WORDS = ("what", "who", "how", "where", "when")
"""First words by which papers on MSR-VTT-QA and MSVD-QA report accuracy."""
OTHER_WORD = "other"
"""Word of a question that begins with none of ``QUESTION_WORDS``."""
_FIRST = re.compile(rf"\W*({'|'.join(QUESTION_WORDS)})\b")


def question_word(question: str) -> str:
    """Return the first word of a question if it is what, who, how, where or when; else ``other``.

    >>> question_word("Who's there?"), question_word("Is a man singing?")
    ('who', 'other')
    """
    first = _FIRST.match(question.lower())
    return first[1] if first else OTHER_WORD
