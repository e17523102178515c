"""Read CREMA-D's votes: raters' emotions by voice alone, by face alone, and by both."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emo.datasets.dataset import Row
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened
from emo.manifest.tasks import SEPARATOR

SUMMARY, TABULATED = "summaryTable.csv", "tabulatedVotes.csv"
LETTERS = {
    "A": "anger", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad",
}  # fmt: skip
"""Letter in CREMA-D's tables -> emotion."""
KINDS = {"voice": "VoiceVote", "face": "FaceVote", "multimodal": "MultiModalVote"}


@dataclass(frozen=True)
class Votes:
    """The votes of all clips, for each kind of vote: voice, face, multimodal."""

    winners: Mapping[str, Mapping[str, list[str]]]
    """File stem -> kind -> the emotions with the most votes."""
    shares: Mapping[str, Mapping[str, Mapping[str, float]]]
    """File stem -> kind -> emotion -> share of all votes; empty: that table is not there."""

    @classmethod
    def of(cls, tree: Tree) -> "Votes":
        """Read the two tables of votes, as far as they are there.

        Raises:
            DatasetError: a table is not as published.
        """
        summary, tabulated = tree.find(SUMMARY), tree.find(TABULATED)
        return cls(
            _winners(tree, summary) if summary else {},
            _shares(tree, tabulated) if tabulated else {},
        )

    def row(self, stem: str) -> Row:
        """Return the columns of a clip: the winners (``anger|fear`` for a tie), and all shares."""
        row: Row = {}
        for kind, winners in self.winners.get(stem, {}).items():
            row[f"{kind}_vote"] = SEPARATOR.join(winners)
            even = {e: float(e in winners) / max(len(winners), 1) for e in LETTERS.values()}
            shares = self.shares.get(stem, {}).get(kind, even)
            row |= {f"{kind}_{emotion}": f"{share:.4g}" for emotion, share in shares.items()}
        return row

    def notes(self, rows: Sequence[Row]) -> list[str]:
        """Return notes on how many ties there are, and where the shares come from."""
        if not self.winners:
            return []
        ties = {k: sum(SEPARATOR in row.get(f"{k}_vote", "") for row in rows) for k in KINDS}
        soft = "shares of all votes"
        if not self.shares:
            soft = f"{TABULATED} is not there, so the winners of {SUMMARY} share evenly"
        counts = ", ".join(f"{kind} {count:,}" for kind, count in ties.items())
        return [f"ties of the most votes: {counts}", f"soft labels: {soft}"]


def majority(row: Row, kind: str) -> str:
    """Return the emotion with the most votes; ``""`` for a tie."""
    winners = row.get(f"{kind}_vote", "")
    return "" if SEPARATOR in winners else winners


def _winners(tree: Tree, file: str) -> dict[str, dict[str, list[str]]]:
    """Read the table of winners."""
    return {
        line["FileName"]: {
            kind: [LETTERS[letter] for letter in line[column].split(":") if letter in LETTERS]
            for kind, column in KINDS.items()
        }
        for line in tree.records(file, ["FileName", *KINDS.values()])
    }


def _shares(tree: Tree, file: str) -> dict[str, dict[str, dict[str, float]]]:
    """Read the table of all votes.

    The name of its first column is empty: 100001 is the voice of clip 1, 200001 its face, 300001
    both (the README's queryType).
    """
    kinds = dict(enumerate(KINDS, 1))
    shares: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    lines = csv.DictReader(io.StringIO(tree.text(file), newline=""))
    try:
        for line in lines:
            kind = kinds[int(line[""]) // 100_000]
            counts = {name: float(line[letter]) for letter, name in LETTERS.items()}
            stem, total = line["fileName"], sum(counts.values())
            if not math.isfinite(total) or min(counts.values()) < 0:
                raise ValueError("expected counts of votes")
            if total:
                shares[stem][kind] = {name: count / total for name, count in counts.items()}
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise DatasetError(
            f"{tree.root / file}: expected the columns '' (100001 …), A to S and "
            f"fileName; {shortened(repr(error))}. Is it the published table?"
        ) from error
    return shares
