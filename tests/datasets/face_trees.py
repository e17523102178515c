"""Small downloads of data sets of faces: clips of films, and still pictures."""

from pathlib import Path

import numpy as np

from emo.datasets.png import grey_png
from tests.datasets.media import Made, Media, table

FERPLUS = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF",
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
    "Training,fer0000001.png,6,0,1,1,0,0,0,0,2,0",
    "PublicTest,,0,0,0,0,0,0,0,0,0,10",
    "PrivateTest,fer0035801.png,2,0,0,5,1,1,0,0,1,0",
)
"""The first two and the last row of the table of FER+ (MIT licence), and a made one between."""


def dfew(folder: Path, media: Media) -> Made:
    """Clip 1 is test in fold 1, clip 2 in fold 2 …; names of clips with zeros and without."""
    for fold in range(1, 6):
        for split in ("train", "test"):
            lines = [f"{k},{k}" for k in range(1, 6) if (k == fold) == (split == "test")]
            place = folder / "EmoLabel_DataSplit" / f"{split}(single-labeled)"
            table(place / f"set_{fold}.csv", "video_name,label", *lines)
        media.put(folder / "Clip" / (f"{fold}.mp4" if fold % 2 else f"{fold:05}.mp4"))
    return Made(5)


def mafw(folder: Path, media: Media) -> Made:
    emotions = ("anger", "disgust", "fear", "happiness", "neutral")
    for kind, suffix in (("single", ""), ("compound", "_surprise")):
        for fold in range(1, 6):
            for split in ("train", "test"):
                lines = [f"{k:05}.mp4 {emotion}{suffix}" for k, emotion in enumerate(emotions, 1)
                         if (k == fold) == (split == "test")]  # fmt: skip
                place = folder / "Train & Test Set" / kind / "no_caption" / f"set_{fold}"
                table(place / f"{split}.txt", *lines)
    for k in range(1, 6):
        media.put(folder / "data" / "clips" / f"{k:05}.mp4")
    return Made(5)


def mer2023(folder: Path, media: Media) -> Made:
    """Two clips of train and one of each test; test3 has a clip without a label, too."""
    names = {"train": ("sample_00000000", "sample_00000001"), "test1": ("sample_00000100",),
             "test2": ("sample_00000200",), "test3": ("sample_00000300",)}  # fmt: skip
    for name, clips in names.items():
        header = "name,discrete" if name == "test3" else "name,discrete,valence"
        lines = [f"{clip},worried" + ("" if name == "test3" else ",-2.5") for clip in clips]
        table(folder / f"{name}-label.csv", header, *lines)
        for clip in clips:
            media.put(folder / name / f"{clip}.avi")
    media.put(folder / "test3" / "sample_00000999.avi")
    table(folder / "transcription.csv", "name,sentence", "sample_00000001,你好。")
    return Made(5)


def affectnet(folder: Path, media: Media) -> Made:
    """The release with arrays: numbers as text, as published, and as numbers."""
    for place, count in (("train_set", 2), ("val_set", 1)):
        (folder / place / "annotations").mkdir(parents=True)
        for number in range(count):
            media.put(folder / place / "images" / f"{number}.jpg")
            values = {"exp": str(7 - number), "val": "-0.412698", "aro": np.float64(0.25)}
            for kind, value in values.items():
                np.save(folder / place / "annotations" / f"{number}_{kind}.npy", np.array(value))
    return Made(3)


def rafdb(folder: Path, media: Media) -> Made:
    """Both subsets, whose files have the same names."""
    lists = {"basic": ("train_00001.jpg 5", "train_00003.jpg 4", "test_0001.jpg 7"),
             "compound": ("train_00001.jpg 10", "test_1.jpg 11")}  # fmt: skip
    for subset, lines in lists.items():
        table(folder / subset / "EmoLabel" / "list_patition_label.txt", *lines)
        for line in lines:
            stem = line.split(".")[0]
            media.put(folder / subset / "Image" / "aligned" / f"{stem}_aligned.jpg")
    return Made(3)


def fer2013(folder: Path, media: Media) -> Made:
    """Four rows: the second and the last have the same pixels, the third is black."""
    faces = [" ".join(str((number * k) % 256) for k in range(2304)) for number in (1, 2, 0, 2)]
    usages = ("Training", "Training", "PublicTest", "PrivateTest")
    lines = [f"{number},{face},{usage}" for number, (face, usage) in
             enumerate(zip(faces, usages, strict=True))]  # fmt: skip
    table(folder / "fer2013.csv", "emotion,pixels,Usage", *lines)
    table(folder / "fer2013new.csv", *FERPLUS)
    (folder / "pictures").mkdir()
    for number, face in enumerate(faces):
        pixels = bytes(map(int, face.split()))
        (folder / "pictures" / f"{number:05}.png").write_bytes(grey_png(pixels, 48))
    return Made(4)


FACE_TREES = {
    "dfew": dfew, "mafw": mafw, "mer2023": mer2023, "affectnet": affectnet, "rafdb": rafdb,
    "fer2013": fer2013,
}  # fmt: skip
