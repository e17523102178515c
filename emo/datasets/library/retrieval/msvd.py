"""MSVD: short videos with about forty captions each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.files import read_regular
from emo.machine.untrusted.plain_pickle import read_plain_pickle
from emo.manifest.cells import SPLITS

CAPTIONS = "raw-captions.pkl"
MOST_PICKLE_BYTES = 2**28
"""Largest file of captions that is read, 256 MiB."""


@dataclass(frozen=True)
class MsvdOptions:
    """Options of MSVD: which table is written, and whether a pickle may be read."""

    rows: Literal["videos", "captions"] = field(
        default="videos",
        metadata={
            "help": "videos: a row for each video, to extract its features; captions: a row for "
            "each caption, whose column clip is the id of its video"
        },
    )
    allow_pickle: bool = field(
        default=False,
        metadata={"help": f"read {CAPTIONS}, of text, lists and dicts only; also --allow-pickle"},
    )


class Msvd(Dataset):
    """MSVD: 1,970 videos; the lists of train, val and test, and a pickle of captions."""

    Options: ClassVar[type] = MsvdOptions
    has_labels: ClassVar[bool] = False
    card: ClassVar[DatasetCard] = DatasetCard(
        title="MSVD",
        where="https://github.com/ArrowLuo/CLIP4Clip (msvd_data.zip) and the videos of Microsoft",
        licence="none stated; the videos are those of YouTube",
        source="Chen and Dolan 2011 (ACL); the splits: Venugopalan et al. 2015",
        layout=f"train_list.txt, val_list.txt, test_list.txt, {CAPTIONS}; NAME.avi",
        faults=(
            f"{CAPTIONS} is a pickle: it is read with --allow-pickle alone, and may hold text, "
            "lists and dicts only",
            "captions come in many languages in the original; the pickle has the English ones",
        ),
    )

    @classmethod
    def stated(cls, options: MsvdOptions) -> Stated:
        """Return the counts of videos; nobody states those of captions by split."""
        if options.rows == "captions":
            return {}
        return {"clips": {"train": 1200, "val": 100, "test": 670}}

    @classmethod
    def read(cls, tree: Tree, options: MsvdOptions) -> Download:
        """Read the lists, and the captions if they are wanted."""
        files = {split: tree.find(f"{split}_list.txt") for split in SPLITS}
        if not any(files.values()):
            raise not_here(cls.card, tree)
        split = {
            name.strip(): each
            for each, file in files.items()
            for name in (tree.text(file).splitlines() if file else ())
            if name.strip()
        }
        missing = tuple(f"{each}_list.txt" for each, file in files.items() if file is None)
        if options.rows == "captions":
            named = {"they are rows of -o rows=videos": list(tree.media)} if tree.media else {}
            captions = _read_captions(tree, is_allowed=options.allow_pickle)
            rows, bare = _caption_rows(captions, split)
            return Download(rows, missing=(*missing, *bare), left_out=named)
        rows = [
            {"id": name, "video": tree.expect(f"{name}.avi", "videos"), "split": each}
            for name, each in split.items()
        ]
        return Download(rows, missing=missing)


def _read_captions(tree: Tree, *, is_allowed: bool) -> Mapping[str, Any]:
    """Read the pickle of captions: name of a video -> captions, each text or a list of words.

    Raises:
        DatasetError: it is not here, not allowed, or holds something else.
    """
    file = tree.find(CAPTIONS)
    if file is None:
        raise DatasetError(f"{tree.root}: no {CAPTIONS}, which holds the captions")
    path = tree.root / file
    if not is_allowed:
        raise DatasetError(
            f"{path}: it is a pickle, and a pickle can run code. --allow-pickle reads it with a "
            "reader that knows text, numbers, lists and dicts only"
        )
    try:
        data = read_regular(path, most_bytes=MOST_PICKLE_BYTES, follow_links=True)
        found = read_plain_pickle(data)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # PlainPickleError, or a file that is too large
        raise DatasetError(f"{path}: refused: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise DatasetError(f"{path}: expected a dict of captions by name of the video")
    return found


def _caption_rows(
    captions: Mapping[str, Any], split: Mapping[str, str]
) -> tuple[list[Row], list[str]]:
    """Return a row for each caption of a listed video, and the videos without any caption."""
    rows, bare = [], []
    for video, each in split.items():
        texts = [_text(caption) for caption in captions.get(video, ())]
        bare += [] if any(texts) else [f"captions of {video}"]
        rows += [
            {"id": f"{video}_{number}", "text": text, "clip": video, "split": each}
            for number, text in enumerate(texts)
            if text
        ]
    return rows, bare


def _text(caption: Any) -> str:
    """Return a caption, which is a text or a list of words, as text; "": it is neither."""
    if isinstance(caption, list | tuple):
        return " ".join(map(str, caption))
    return caption if isinstance(caption, str) else ""
