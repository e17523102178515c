"""Score emotion–cause pairs in conversations, in the format of SemEval-2024 Task 3."""

from pathlib import Path

from emo.errors import FitError, ScoreError
from emo.score.metrics import Metric
from emo.score.pairs import check_conversations
from emo.score.readers.answers import read_json
from emo.score.readers.gold import Gold
from emo.score.readers.run_folder import conversations_of, is_run
from emo.score.semeval import score_pairs, score_spans


def score_conversations(path: Path, gold: Gold, metric: Metric, *, split: str) -> dict[str, float]:
    """Return the scores of a JSON file or a run, the headline first.

    Args:
        path: the predictions.
        gold: the gold conversations.
        metric: a metric of pairs or spans.
        split: the split of these conversations, used if ``path`` is a run.

    Raises:
        EmoError: the predictions are not such conversations, or lack one.
    """
    if is_run(path) and metric.kind == "spans":
        raise ScoreError(f"{path}: a run predicts which utterance is the cause, not which words")
    document = conversations_of(path, split=split) if is_run(path) else read_json(path)
    check_conversations(document, path)
    try:
        if metric.kind == "pairs":
            found = score_pairs(gold.conversations, document)
        else:
            both = score_spans(gold.conversations, document)
            overlap = both["proportional"].items()
            found = both["strict"] | {f"proportional_{name}": value for name, value in overlap}
    except FitError as error:
        raise ScoreError(f"{path}: {error}") from error
    except ValueError as error:
        raise ScoreError(f'{path}: expected causes like "2" or "2_0_5": {error}') from error
    return {metric.headline: found[metric.headline]} | found
