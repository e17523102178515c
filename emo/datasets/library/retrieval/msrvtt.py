"""MSR-VTT: videos with twenty captions each, in the splits of text-to-video retrieval."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.kinds import Fields, ListOf

DATA, TRAIN, TEST = "MSRVTT_data.json", "MSRVTT_train.9k.csv", "MSRVTT_JSFUSION_test.csv"
SPLIT_NAMES = {"train": "train", "validate": "val", "val": "val", "test": "test"}
_DOCUMENT = Fields(
    {
        "videos": ListOf(Fields({"video_id": str}, {"split": str, "url": str})),
        "sentences": ListOf(Fields({"video_id": str, "caption": str})),
    }
)


@dataclass(frozen=True)
class MsrVttOptions:
    """Options of MSR-VTT: splits, and which table is written."""

    splits: Literal["1ka", "full"] = field(
        default="1ka",
        metadata={"help": "1ka: 9,000 train and 1,000 test with one caption each; full: official"},
    )
    rows: Literal["videos", "captions"] = field(
        default="videos",
        metadata={
            "help": "videos: a row for each video, to extract its features; captions: a row for "
            "each caption, whose column clip is the id of its video"
        },
    )


class MsrVtt(Dataset):
    """MSR-VTT: 10,000 videos, 200,000 captions."""

    Options: ClassVar[type] = MsrVttOptions
    has_labels: ClassVar[bool] = False
    card: ClassVar[DatasetCard] = DatasetCard(
        title="MSR-VTT",
        where="https://github.com/ArrowLuo/CLIP4Clip (msrvtt_data.zip and the videos)",
        licence="none stated; the videos are those of YouTube",
        source="Xu et al. 2016 (10.1109/CVPR.2016.571); 1k-A: Yu et al. 2018 (JSFusion)",
        layout=f"{DATA} (videos, sentences), {TEST} and {TRAIN} for 1ka; videoN.mp4",
        faults=(
            "different videos have equal captions, so that a query may have several right answers",
            "the 1k-A test has one of the twenty captions of each video, and there is no val",
        ),
    )

    @classmethod
    def stated(cls, options: MsrVttOptions) -> Stated:
        """Return the counts of videos, or of captions."""
        videos = {"train": 6513, "val": 497, "test": 2990}
        captions = {name: 20 * count for name, count in videos.items()}
        if options.splits == "1ka":
            videos, captions = {"train": 9000, "test": 1000}, {"train": 180_000, "test": 1000}
        return {"clips": captions if options.rows == "captions" else videos}

    @classmethod
    def read(cls, tree: Tree, options: MsrVttOptions) -> Download:
        """Read videos or captions; the tests of 1ka have the caption of their own table."""
        file = tree.find(DATA)
        if file is None:
            raise not_here(cls.card, tree)
        document = tree.document(file, _DOCUMENT)
        tested = _tested(tree) if options.splits == "1ka" else []
        split = _splits(tree, document, tested, options)
        if options.rows == "videos":
            rows = [
                {"id": name, "video": tree.expect(f"{name}.mp4", "videos"), "split": split[name]}
                for name in split
            ]
            return Download(rows)
        named = {"they are rows of -o rows=videos": list(tree.media)} if tree.media else {}
        return Download([*_captions(document, split, tested), *tested], left_out=named)


def _tested(tree: Tree) -> list[Row]:
    """Return the caption of each test video of 1ka.

    Raises:
        DatasetError: its table is not here.
    """
    file = tree.find(TEST)
    if file is None:
        raise DatasetError(f"{tree.root}: no {TEST}, the test of 1ka; add it, or -o splits=full")
    return [
        {"id": line["key"], "text": line["sentence"], "clip": line["video_id"], "split": "test"}
        for line in tree.records(file, ["key", "video_id", "sentence"])
    ]


def _splits(tree: Tree, document: Any, tested: list[Row], options: MsrVttOptions) -> dict[str, str]:
    """Return video -> split, of the videos that are used.

    Raises:
        DatasetError: the list of train is not here, or a split has another name.
    """
    if options.splits == "full":
        names = {each["video_id"]: each.get("split", "") for each in document["videos"]}
        odd = next((name for name in names.values() if name not in SPLIT_NAMES), None)
        if odd is not None:
            raise DatasetError(
                f"{tree.root}: {DATA}: split {odd!r}: expected train, validate, test"
            )
        return {video: SPLIT_NAMES[name] for video, name in names.items()}
    file = tree.find(TRAIN)
    if file is None:
        raise DatasetError(f"{tree.root}: no {TRAIN}, the train of 1ka; add it, or -o splits=full")
    trained = [line["video_id"] for line in tree.records(file, ["video_id"])]
    return {**dict.fromkeys(trained, "train"), **{row["clip"]: "test" for row in tested}}


def _captions(document: Any, split: dict[str, str], tested: list[Row]) -> list[Row]:
    """Return the numbered captions of each video, without the videos of ``tested``."""
    rows: list[Row] = []
    counts: dict[str, int] = {}
    chosen = {row["clip"] for row in tested}
    for each in document["sentences"]:
        video = each["video_id"]
        if video in split and video not in chosen:
            counts[video] = counts.get(video, -1) + 1
            rows.append({
                "id": f"{video}_{counts[video]}", "text": each["caption"], "clip": video,
                "split": split[video],
            })  # fmt: skip
    return rows
