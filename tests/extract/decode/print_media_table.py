"""What each real file gives, in the columns of media_table.csv.

Run: ``python -m tests.extract.decode.print_media_table`` prints the table as measured now.
"""

import csv
import sys
from functools import cache
from pathlib import Path

import numpy as np

from emo import plugins
from emo.errors import MediaError
from emo.extract.backbone import Backbone
from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.faces.detector import FaceDetector
from tests.conftest import REAL_DATA

TABLE = Path(__file__).with_name("media_table.csv")
BACKBONES = ("classic", "logmel", "faces")
STREAMS = ("classic/audio", "classic/face", "logmel/audio", "faces/face")


def rows():
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def models():
    kinds = [plugins.load("emo.extract.backbones", name, Backbone) for name in BACKBONES]
    return {
        name: kind.load(kind.Options(), device="cpu")
        for name, kind in zip(BACKBONES, kinds, strict=True)
    }


@cache
def detector():
    return FaceDetector()


def extract(row):
    """{backbone/stream: tokens} and face_share of a row, as the pipeline does it, without text.

    Raises:
        MediaError: decoding failed, or every stream is absent.
    """
    video = REAL_DATA / row["file"]
    audio = REAL_DATA / row["audio_file"] if row["audio_file"] else None
    needs = [type(model).needs(model.options) for model in models().values()]
    views = load_media(ClipSource(video=video, audio=audio), needs, detect=detector())
    tokens, absent, face_share = {}, {}, ""
    for (name, model), media in zip(models().items(), views, strict=True):
        prepared = model.prepare(media)
        absent |= prepared.absent
        face_share = prepared.notes.get("face_share", face_share)
        if prepared.inputs:
            (streams,) = model.encode([prepared.inputs])
            tokens |= {f"{name}/{stream}": rows for stream, rows in streams.items()}
    if not tokens:
        raise MediaError("; ".join(f"{stream}: {why}" for stream, why in absent.items()))
    return tokens, face_share


def measured(row):
    """The row as it comes out now: T a stream, or the failure."""
    found = {**row, **dict.fromkeys((*STREAMS, "failure"), "")}
    try:
        tokens, face_share = extract(row)
    except MediaError as error:
        return {**found, "failure": str(error), "face_share": ""}
    found["face_share"] = str(face_share)
    assert all(np.isfinite(array.astype(np.float16)).all() for array in tokens.values())
    return {**found, **{name: str(len(array)) for name, array in tokens.items()}}


if __name__ == "__main__":
    writer = csv.DictWriter(sys.stdout, rows()[0].keys(), lineterminator="\n")
    writer.writeheader()
    for row in rows():
        writer.writerow(measured(row))
