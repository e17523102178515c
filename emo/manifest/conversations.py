"""Make a manifest of dialogues with emotions and their causes: SemEval-2024 Task 3, ECF.

Their files call a dialogue a conversation (``conversation_ID``), so that names here do, too.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo.errors import ManifestError
from emo.machine.untrusted.documents import MOST_DOCUMENT_BYTES, shortened
from emo.machine.untrusted.files import read_regular
from emo.manifest import cells
from emo.manifest.clips import Manifest
from emo.manifest.make import save
from emo.manifest.tables.json_lines import parse_json
from emo.manifest.tables.text_table import TextTable

PAIRS = "emotion-cause_pairs"
DIALOGUE_COLUMNS = ("text", "split", "dialogue", "turn", "speaker", "emotion", "is_cause", "cause")
_FOREIGN = (ValueError, TypeError, AttributeError, ArithmeticError)


def from_conversations(parts: Mapping[str, Path], *, out: Path) -> Manifest:
    """Write a manifest with a row for each utterance.

    The column ``cause`` names the turns that cause the utterance's emotion, as ``joy:1 joy:3``.
    Labels that a file does not have, because they are hidden, are empty cells.

    Args:
        parts: split -> file, such as ``{"train": Subtask_2_train.json, "val": dev.txt}``; .json in
            SemEval's format (either subtask), text in ECF's format.
        out: the manifest to write.

    Raises:
        ManifestError: a file has neither format, a split is unknown, or ``out`` exists with
            another content. Nothing is written then.
    """
    rows: list[dict[str, str]] = []
    origins = []
    for word, path in parts.items():
        try:
            split = cells.split(word)
        except ValueError as error:
            raise ManifestError(f"--split {word}={path}: {error}") from error
        found = conversation_rows(path, split)
        rows += found
        origins += [
            f"{path}, conversation {row['dialogue']}, utterance {row['turn']}" for row in found
        ]
    if not rows:
        raise ManifestError(f"{', '.join(map(str, parts.values()))}: no dialogues")
    table = {name: [row[name] for row in rows] for name in DIALOGUE_COLUMNS}
    return save(TextTable(table, origins), out, base=out.parent)


def conversation_rows(path: Path, split: str) -> list[dict[str, str]]:
    """Read a row for each utterance: ``COLUMNS``, and ``video``, the file name of its clip.

    Args:
        path: a file in SemEval's JSON or ECF's text format.
        split: the split of all its rows.

    Raises:
        ManifestError: the file has neither format.
    """
    try:
        data = read_regular(path, most_bytes=MOST_DOCUMENT_BYTES, follow_links=True)
        text = data.decode("utf-8")
        found = parse_json(text) if path.suffix == ".json" else _from_ecf(text)
        return [row for conversation in found for row in _conversation(conversation, split)]
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except (*_FOREIGN, KeyError, IndexError, StopIteration) as error:
        raise ManifestError(
            f"{path}: expected conversations as SemEval-2024 Task 3 (.json) or ECF (.txt) "
            f"publishes them; {shortened(repr(error))}"
        ) from error


def _conversation(conversation: Mapping[str, Any], split: str) -> list[dict[str, str]]:
    """Return the rows of one dialogue, given as an entry of SemEval's JSON."""
    pairs = conversation.get(PAIRS)
    causes: dict[int, dict[str, None]] = {}
    are_causes = set()
    for first, second in pairs or ():
        utterance, _, emotion = str(first).partition("_")
        cause = int(str(second).partition("_")[0])
        causes.setdefault(int(utterance), {})[f"{emotion}:{cause}"] = None
        are_causes.add(cause)
    rows = []
    for said in conversation["conversation"]:
        turn = int(said["utterance_ID"])
        row = {
            "text": str(said["text"]),
            "split": split,
            "dialogue": str(conversation["conversation_ID"]),
            "turn": str(turn),
            "speaker": str(said["speaker"]),
            "emotion": str(said.get("emotion") or ""),
            "is_cause": "yes" if turn in are_causes else "no",
            "cause": " ".join(causes.get(turn, ["none"])),
            "video": str(said.get("video_name") or _clip_name(conversation, said)),
        }
        if pairs is None:  # the labels are hidden; a conversation without causes has []
            row |= {"is_cause": "", "cause": ""}
        rows.append(row)
    return rows


def _clip_name(conversation: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """Return the file name of an utterance's clip."""
    return f"dia{conversation['conversation_ID']}utt{said['utterance_ID']}.mp4"


def _from_ecf(text: str) -> list[dict[str, Any]]:
    """Parse ECF's text into conversations in SemEval's format.

    Each conversation is a line ``1 8`` (its number and how many utterances follow), a line of pairs
    ``(3,1),(3,3)``, and a line ``number | speaker | emotion | text`` for each utterance.
    """
    lines = iter(text.splitlines())
    found = []
    for head in lines:
        if not head.strip():
            continue
        number, count = map(int, head.split())
        pairs = re.findall(r"\((\d+),(\d+)\)", next(lines))
        said = []
        for _ in range(count):
            turn, speaker, emotion, rest = next(lines).split(" | ", 3)
            words = rest.rpartition(" | ")[0] or rest
            said.append(
                {
                    "utterance_ID": int(turn),
                    "speaker": speaker,
                    "emotion": emotion,
                    "text": words,
                }
            )
        emotions = {row["utterance_ID"]: row["emotion"] for row in said}
        found.append(
            {
                "conversation_ID": number,
                "conversation": said,
                PAIRS: [[f"{e}_{emotions[int(e)]}", cause] for e, cause in pairs],
            }
        )
    return found
