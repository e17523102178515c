"""A manifest of conversations with emotions and their causes: SemEval-2024 Task 3, ECF."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo.errors import ManifestError
from emo.manifest import cells
from emo.manifest.clips import Manifest
from emo.manifest.make import save
from emo.manifest.rows import TextTable, parse_json

PAIRS = "emotion-cause_pairs"
COLUMNS = ("text", "split", "dialogue", "turn", "speaker", "emotion", "is_cause", "cause")
_FOREIGN = (ValueError, TypeError, AttributeError)


def from_conversations(parts: Mapping[str, Path], *, out: Path) -> Manifest:
    """One row an utterance; ``cause`` names the turns that cause its emotion, ``joy:1 joy:3``.

    Where a file has no pairs, or an utterance no emotion, because they are hidden, cells are empty.

    Args:
        parts: ``{"train": Subtask_2_train.json, "val": dev.txt}``; JSON as SemEval's (either
            subtask), text as ECF's.
        out: where it is written.

    Raises:
        ManifestError: a file is none of the two, a split is unknown, or ``out`` exists with
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
        raise ManifestError(f"{', '.join(map(str, parts.values()))}: no conversations")
    table = {name: [row[name] for row in rows] for name in COLUMNS}
    return save(TextTable(table, origins), out, base=out.parent)


def conversation_rows(path: Path, split: str) -> list[dict[str, str]]:
    """One row an utterance: ``COLUMNS``, and ``video``, the name of its clip.

    Raises:
        ManifestError: the file is neither SemEval's JSON nor ECF's text.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = parse_json(text) if path.suffix == ".json" else _from_ecf(text)
        return [row for conversation in found for row in _conversation(conversation, split)]
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except (*_FOREIGN, KeyError, IndexError, StopIteration) as error:
        raise ManifestError(
            f"{path}: expected conversations as SemEval-2024 Task 3 (.json) or ECF (.txt) has "
            f"them; {error!r}"
        ) from error


def _conversation(conversation: Mapping[str, Any], split: str) -> list[dict[str, str]]:
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
        if pairs is None:  # whoever hides the labels leaves them out; no cause at all is []
            row |= {"is_cause": "", "cause": ""}
        rows.append(row)
    return rows


def _clip_name(conversation: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    return f"dia{conversation['conversation_ID']}utt{said['utterance_ID']}.mp4"


def _from_ecf(text: str) -> list[dict[str, Any]]:
    """``1 8``, the pairs ``(3,1),(3,3)``, eight lines ``number | speaker | emotion | text``."""
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
