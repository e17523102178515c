"""Small downloads of data sets of speech, dialogues and texts."""

import json
from pathlib import Path

from emo.datasets.library.text.goemotions import EMOTIONS
from tests.datasets.media import Made, Media, table

GOEMOTIONS = {
    "train": (
        "My favourite food is anything I didn't have to cook myself.\t27\teebbqej",
        "Now if he does off himself, everyone will think hes having a laugh screwing with people "
        "instead of actually dead\t27\ted00q6i",
        'Say "hi\t17,26\tmade001',
    ),
    "dev": (
        "You know the answer man, you are programmed to capture those codes they send you, don’t "
        "avoid them!\t4,27\tee84bjg",
    ),
    "test": ("It's wonderful because it's awful. At not with.\t0\ted5f85d",),
}
"""Rows of the published files (CC BY 4.0), and a made one with a quotation mark."""
EMORY = {
    "train": (1, 2, ("What you guys don't understand is, for us, kissing is as important as any "
                     "part of it.", "Joyful"), ("Yeah, right!.......Y'serious?", "Neutral")),
    "dev": (1, 15, ("Coffee.", "Neutral"), ("Thank you.", "Neutral")),
    "test": (1, 1, ("I'm thinking we've got a bookcase here.", "Neutral"),),
}  # fmt: skip
"""Split -> season, episode and utterances of the published tables (Apache-2.0)."""


def savee(folder: Path, media: Media) -> Made:
    """Five of 480 utterances, in three layouts."""
    for path in ("AudioData/DC/a01.wav", "AudioData/DC/sa15.wav", "JE_su02.wav", "JKn30.wav",
                 "AudioData/KL/h03.wav"):  # fmt: skip
        media.put(folder / path)
    return Made(5, ("--partial",))


def tess(folder: Path, media: Media) -> Made:
    """Two words of 200; one name lacks a letter, and a second copy lies in an inner folder."""
    codes = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    for speaker in ("OAF", "YAF"):
        for code in codes:
            for word in ("back", "bite"):
                stem = f"{speaker}_{word}_{code}".replace("OAF_bite_neutral", "OA_bite_neutral")
                media.put(folder / f"{speaker}_{code.title()}" / f"{stem}.wav")
    media.put(folder / "TESS" / "YAF_Sad" / "YAF_bite_sad.wav")
    return Made(28, ("--partial",))


def esd(folder: Path, media: Media) -> Made:
    """Utterances of a Mandarin and an English speaker, whose transcripts have two encodings."""
    media.put(folder / "0001" / "Angry" / "0001_000351.wav")
    media.put(folder / "0001" / "Sad" / "0001_001400.wav")
    media.put(folder / "0011" / "Angry" / "train" / "0011_000401.wav")
    media.put(folder / "0011" / "Surprise" / "test" / "0011_001421.wav")
    text = "0001_000351\t打远一看\t生气\n"
    (folder / "0001" / "0001.txt").write_bytes(text.encode("gb2312"))
    text = "0011_000401\tThe nine the eggs.\tAngry\r\nno tabs\r\n"
    (folder / "0011" / "0011.txt").write_bytes(text.encode("utf-16"))
    return Made(4, ("--partial",))


def msppodcast(folder: Path, media: Media) -> Made:
    """Five labelled utterances, and one of Test3."""
    header = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
    rows = [("0001_0001", "A", "7", "Male", "Train"), ("0001_0002", "H", "8", "Female", "Train"),
            ("0002_0001", "N", "Unknown", "Unknown", "Development"),
            ("0003_0001", "C", "30", "Male", "Test1"),
            ("0004_0001", "N", "39", "Male", "Test2")]  # fmt: skip
    lines = [
        f"MSP-PODCAST_{name}.wav,{letter},2.2,4.0,2.6,{speaker},{sex},{part}"
        for name, letter, speaker, sex, part in rows
    ]
    table(folder / "Labels" / "labels_consensus.csv", header, *lines)
    for name, *_ in (*rows, ("test3_0001",)):
        media.put(folder / "Audios" / f"MSP-PODCAST_{name}.wav")
    table(folder / "Transcripts" / "MSP-PODCAST_0001_0001.txt", "so I said", "no")
    return Made(5)


def emorynlp(folder: Path, media: Media) -> Made:
    header = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time"
    for split, (season, episode, *said) in EMORY.items():
        lines = [
            f"\"{text}\",['Monica Geller'],{emotion},1,{k},{season},{episode},00:00:02.877,"
            "00:00:07.548"
            for k, (text, emotion) in enumerate(said, 1)
        ]
        table(folder / f"emorynlp_{split}_final.csv", header, *lines)
        for k in range(1, len(said) + 1):
            name = f"sea{season}_ep{episode}_sc1_utt{k}.mp4"
            media.put(folder / f"emorynlp_{split}_splits" / name)
    for split, name in (("train", "trn"), ("dev", "dev"), ("test", "tst")):
        season, episode, *said = EMORY[split]
        scene = f"s{season:02}_e{episode:02}_c01"
        utterances = [
            {"utterance_id": f"{scene}_u{k:03}", "speakers": ["Joey Tribbiani", "Ross Geller"],
             "transcript": text, "tokens": [text.split()], "emotion": emotion}
            for k, (text, emotion) in enumerate(said, 1)
        ]  # fmt: skip
        scenes = [{"scene_id": scene, "utterances": utterances}]
        document = {"season_id": name, "episodes": [{"episode_id": "x", "scenes": scenes}]}
        (folder / f"emotion-detection-{name}.json").write_text(json.dumps(document))
    return Made(5)


def dailydialog(folder: Path, media: Media) -> Made:
    """Two dialogues in train, one in each other split; that of val is in train, too."""
    first, second = "Hello . __eou__ Hi , Tom ! __eou__", "Where is it ? __eou__ Gone . __eou__"
    files = {
        "train": ((first, "0 4 ", "1 1 "), (second, "0 5 ", "2 1 ")),
        "validation": ((second, "0 5 ", "2 1 "),),
        "test": (("No ! __eou__ Yes . __eou__", "1 0 ", "1 1 "),),
    }
    for name, lines in files.items():
        for kind, place in (("", 0), ("emotion_", 1), ("act_", 2)):
            path = folder / name / f"dialogues_{kind}{name}.txt"
            table(path, *(line[place] for line in lines))
    return Made(8, has_media=False)


def goemotions(folder: Path, media: Media) -> Made:
    for name, lines in GOEMOTIONS.items():
        table(folder / f"{name}.tsv", *lines)
    (folder / "emotions.txt").write_text("\n".join(EMOTIONS))
    return Made(5, has_media=False)


WORD_TREES = {
    "savee": savee, "tess": tess, "esd": esd, "msppodcast": msppodcast, "emorynlp": emorynlp,
    "dailydialog": dailydialog, "goemotions": goemotions,
}  # fmt: skip
