"""RAVDESS: 24 actors speak (and sing) two sentences in eight emotions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.splits import NOTE, by_speaker
from emo.datasets.tree import Tree

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SUNG = EMOTIONS[:6]
TEXTS = ("Kids are talking by the door.", "Dogs are sitting by the door.")
ACTORS = range(1, 25)
SILENT_ACTOR = 18
"""The actor who did not sing."""
CHANNELS = {"speech": ("01",), "song": ("02",), "both": ("01", "02")}
"""Value of the option channel -> codes in the files' names."""


@dataclass(frozen=True)
class RavdessOptions:
    """Option of RAVDESS: which recordings."""

    channel: Literal["speech", "song", "both"] = field(
        default="speech", metadata={"help": "speech, song or both"}
    )


class Ravdess(Dataset):
    """RAVDESS: 1,440 spoken and 1,012 sung performances, each as video with sound and as wav."""

    Options: ClassVar[type] = RavdessOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="RAVDESS",
        where="https://zenodo.org/records/1188976",
        licence="CC BY-NC-SA 4.0",
        source="Livingstone and Russo 2018 (10.1371/journal.pone.0196391)",
        layout="03-01-06-01-02-01-12.wav (sound) and 01-01-….mp4 (video) in any sub-folder",
        faults=(
            "02-….mp4 are the pictures of 01-….mp4 without sound: left out",
            "actor 18 did not sing; neutral has no strong intensity, so half the clips",
            "two sentences in all: nothing can be learned from the words",
        ),
    )

    @classmethod
    def stated(cls, options: RavdessOptions) -> Stated:
        """Return the counts by design: each actor speaks 60 clips, and all but one sing 44."""
        spoken = dict.fromkeys(EMOTIONS, 192) | {"neutral": 96}
        sung = dict.fromkeys(SUNG, 184) | {"neutral": 92}
        wanted = {"speech": [spoken], "song": [sung], "both": [spoken, sung]}[options.channel]
        label = {name: sum(part.get(name, 0) for part in wanted) for name in EMOTIONS}
        return {
            "clips": {"all": sum(label.values())},
            "speakers": {"all": 23 if options.channel == "song" else 24},
            "label": {name: count for name, count in label.items() if count},
        }

    @classmethod
    def read(cls, tree: Tree, options: RavdessOptions) -> Download:
        """Read every performance of the design; their file names follow from the design."""
        rows = [row for channel in CHANNELS[options.channel] for row in _design(tree, channel)]
        if not any(row[name] in tree.all for row in rows for name in ("video", "audio")):
            raise not_here(cls.card, tree)
        named = {row[name] for row in rows for name in ("video", "audio")}
        rest = [path for path in tree.media if path not in named]
        silent = [path for path in rest if path.rpartition("/")[2].startswith("02-")]
        return Download(rows, left_out={"pictures without sound": silent}, notes=(NOTE,))


def _design(tree: Tree, channel: str) -> Iterator[Row]:
    """Return the rows of all performances with a channel: 01 speech, 02 song."""
    is_song = channel == "02"
    split = by_speaker(f"{actor:02}" for actor in ACTORS)
    emotions = SUNG if is_song else EMOTIONS
    actors = [actor for actor in ACTORS if not (is_song and actor == SILENT_ACTOR)]
    for actor, emotion, level, text, take in product(actors, range(len(emotions)), *[(1, 2)] * 3):
        if emotion == 0 and level == 2:
            continue  # there is no strong neutral
        name = f"{channel}-{emotion + 1:02}-{level:02}-{text:02}-{take:02}-{actor:02}"
        yield {
            "id": name,
            "video": tree.expect(f"01-{name}.mp4", f"Actor_{actor:02}"),
            "audio": tree.expect(f"03-{name}.wav", f"Actor_{actor:02}"),
            "text": TEXTS[text - 1],
            "split": split[f"{actor:02}"],
            "speaker": f"{actor:02}",
            "label": emotions[emotion],
            "level": ("normal", "strong")[level - 1],
            "channel": "song" if is_song else "speech",
            "sex": "male" if actor % 2 else "female",
        }
