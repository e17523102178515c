"""A small download of every data set in its published layout, with real media of several formats.

``TREES[name](folder, media)`` writes one that is complete as far as its tables tell; what it
returns is how many clips it has and the words that the command needs to accept it.
"""

import csv
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np

from tests.datasets.face_trees import FACE_TREES
from tests.datasets.media import Made, Media, table
from tests.datasets.word_trees import WORD_TREES

ECF = """1 2
(2,1),(2,2)
1 | Joey | neutral | Look , a duck ! | Friends_S1E1: 00:00:01.000 - 00:00:02.000
2 | Ross | joy | A duck | or a goose ? | Friends_S1E1: 00:00:02.000 - 00:00:03.000
"""


def meld(folder: Path, media: Media) -> Made:
    """Dialogue 0 in each split; the test folder has second versions."""
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode"
    places = {"train": "train_splits", "dev": "dev_splits_complete"}
    places["test"] = "output_repeated_splits_test"
    for split, place in places.items():
        lines = [f'{k},"Well, {split} {k}",Joey,joy,positive,0,{k},1,2' for k in range(3)]
        table(folder / f"{split}_sent_emo.csv", header, *lines)
        for k in range(3):
            media.put(folder / place / f"dia0_utt{k}.mp4")
    media.put(folder / places["test"] / "final_videos_testdia0_utt1.mp4")
    media.put(folder / places["test"] / "dia66_utt9.mp4")
    (folder / places["test"] / "._dia0_utt0.mp4").write_bytes(b"finder")
    return Made(9)


def ecf(folder: Path, media: Media) -> Made:
    for number, name in enumerate(("train", "dev", "test"), 1):
        (folder / f"{name}.txt").write_text(f"{number}{ECF[1:]}")
        for k in (1, 2):
            media.put(folder / "clips" / f"dia{number}utt{k}.mp4")
    return Made(6)


def semeval2024(folder: Path, media: Media) -> Made:
    for split, number in (("train", 1), ("test", 1375)):
        said = [("Look!", "Joey", "neutral"), ("A duck", "Ross", "joy")]
        document = {
            "conversation_ID": number,
            "conversation": [
                {"utterance_ID": k, "text": text, "speaker": speaker, "emotion": emotion,
                 "video_name": f"dia{number}utt{k}.mp4"}
                for k, (text, speaker, emotion) in enumerate(said, 1)
            ],
            "emotion-cause_pairs": [["2_joy", "1"]],
        }  # fmt: skip
        (folder / f"Subtask_2_{split}.json").write_text(json.dumps([document]))
        for k in (1, 2):
            media.put(folder / split / f"dia{number}utt{k}.mp4")
    return Made(4)


def cremad(folder: Path, media: Media) -> Made:
    stems = [f"{actor}_IEO_{emotion}_LO" for actor in range(1001, 1006) for emotion in
             ("ANG", "SAD")]  # fmt: skip
    lines = [f'{k},"{stem}"' for k, stem in enumerate(stems, 1)]
    table(folder / "SentenceFilenames.csv", '"Stimulus_Number","Filename"', *lines)
    header = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote"'
    votes = [f'"{k}","{stem}","A:S","1:2","S","50","N"' for k, stem in enumerate(stems, 1)]
    table(folder / "processedResults" / "summaryTable.csv", header, *votes)
    counts = [
        f'"{100000 * kind + k}",{3 if kind == 1 else 0},0,0,0,{kind},1,"{stem}",{4}'
        for kind in (1, 2, 3)
        for k, stem in enumerate(stems, 1)
    ]
    header = '"","A","D","F","H","N","S","fileName","numResponses"'
    table(folder / "processedResults" / "tabulatedVotes.csv", header, *counts)
    for stem in stems:
        media.put(folder / "VideoFlash" / f"{stem}.flv")
        media.put(folder / "AudioWAV" / f"{stem}.wav")
    return Made(len(stems))


def ravdess(folder: Path, media: Media) -> Made:
    """Five of 1,440 performances."""
    names = ["01-01-01-01-01-01", "01-02-01-02-01-01", "01-06-02-01-01-01", "01-08-01-01-02-01"]
    for name in [*names, "01-01-01-01-01-05"]:
        media.put(folder / f"Actor_{name[-2:]}" / f"03-{name}.wav")
        media.put(folder / f"Actor_{name[-2:]}" / f"01-{name}.mp4")
    media.put(folder / "Actor_01" / "02-01-01-01-01-01-01.mp4")
    return Made(5, ("--partial",))


def iemocap(folder: Path, media: Media) -> Made:
    labels = ["ang", "xxx", "exc", "fru"]
    for session in range(1, 6):
        base, dialogue = folder / f"Session{session}", f"Ses0{session}F_impro01"
        turns = [f"{dialogue}_{'FM'[k % 2]}{k:03}" for k in range(4)]
        rows = [
            f"[{k}.1000 - {k}.9000]\t{turn}\t{label}\t[2.5000, 2.0000, 3.0000]\nA-E1:\tx; ()\n"
            for k, (turn, label) in enumerate(zip(turns, labels, strict=True))
        ]
        table(base / "dialog/EmoEvaluation" / f"{dialogue}.txt", "% [START - END] …\n",
              *reversed(rows))  # fmt: skip
        said = [f"{turn} [000.1000-000.9000]: Turn {k}." for k, turn in enumerate(turns)]
        table(base / "dialog/transcriptions" / f"{dialogue}.txt", *said)
        media.put(base / "dialog/avi/DivX" / f"{dialogue}.avi")
        for turn in turns:
            media.put(base / "sentences/wav" / dialogue / f"{turn}.wav")
    return Made(20)


def _mmsa(folder: Path, media: Media) -> Made:
    header = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode"
    lines = []
    for k, mode in enumerate(["train", "valid", "test"]):
        lines += [f'-v{k},{c},"Words, {c}",{0.5 * c - 1},,,,Negative,{mode}' for c in (1, 2)]
        media.put(folder / "Raw" / f"-v{k}" / "1.mp4")
        media.put(folder / "Raw" / f"-v{k}" / "0002.mp4")
    table(folder / "label.csv", header, *lines)
    return Made(6)


def emodb(folder: Path, media: Media) -> Made:
    names = ["03a01Fa", "03a01Nc", "08b10Wb", "09a02Ea", "10a04Aa", "11a05Lb", "16b01Td"]
    for name in names:
        media.put(folder / "wav" / f"{name}.wav")
    return Made(len(names), ("--partial",))


def nemo(folder: Path, media: Media) -> Made:
    header = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"
    stems = [f"{who}_{emotion}_1" for who in ("EB0", "IC0", "KS0") for emotion in ("fear", "anger")]
    lines = [
        f"{s}.wav\t{s.split('_')[1]}\t„Ród smoka” to serial.\tx\t        {s[:3]}\tmale\t23"
        for s in stems
    ]
    table(folder / "data.tsv", header, *lines)
    for stem in stems:
        media.put(folder / "samples" / f"{stem}.wav")
    return Made(len(stems))


def qia2020(folder: Path, media: Media) -> Made:
    for split, numbers in {"train": (1, 2, 3), "val": (4, 5), "test": (6,)}.items():
        for number in numbers:
            media.put(folder / split / f"{number:05}-1.mp4")
            vectors = np.full((number, 20), number, np.float32)
            np.savez(folder / split / f"{number:05}.npz", word_embed=vectors)
        for kind in ("", "_face", "_speech") if split != "test" else ():
            lines = [f"{number},{'hap' if kind else 'ang'}" for number in numbers]
            table(folder / f"{split}{kind}.csv", "FileID,Emotion", *lines)
    return Made(6)


def folder_of_clips(folder: Path, media: Media) -> Made:
    for place in ("train/joy/a.mp4", "train/anger/b.flv", "dev/joy/c.wav", "test/joy/d.mp4"):
        media.put(folder / place)
    return Made(4)


def msrvtt(folder: Path, media: Media) -> Made:
    videos = [f"video{number}" for number in range(4)]
    splits = ("train", "train", "validate", "test")
    document = {
        "videos": [{"video_id": v, "category": 3, "url": "u", "split": s}
                   for v, s in zip(videos, splits, strict=True)],
        "sentences": [{"video_id": v, "caption": f"{v} {k}"} for k in range(3) for v in videos],
    }  # fmt: skip
    (folder / "MSRVTT_data.json").write_text(json.dumps(document))
    table(folder / "MSRVTT_train.9k.csv", "video_id", *videos[:3])
    header = "key,vid_key,video_id,sentence"
    table(folder / "MSRVTT_JSFUSION_test.csv", header, 'ret0,msr3,video3,"one, two"')
    for video in videos:
        media.put(folder / "TrainValVideo" / f"{video}.mp4")
    return Made(4)


def _questions(folder: Path, name: str, suffix: str, media: Media) -> Made:
    for number, split in enumerate(("train", "val", "test")):
        said = [("what is it", "dog"), ("who runs", "man"), ("is it", "yes")]
        found = [
            {"id": 10 * number + k, "video_id": number, "question": question, "answer": answer}
            for k, (question, answer) in enumerate(said)
        ]
        (folder / f"{split}_qa.json").write_text(json.dumps(found))
        media.put(folder / "video" / f"{name}{number}{suffix}")
    return Made(3)


def msrvttqa(folder: Path, media: Media) -> Made:
    return _questions(folder, "video", ".mp4", media)


def msvdqa(folder: Path, media: Media) -> Made:
    return _questions(folder, "vid", ".avi", media)


def msvd(folder: Path, media: Media) -> Made:
    names = {"train": ["aa_1_2", "bb_3_4"], "val": ["cc_5_6"], "test": ["dd_7_8"]}
    for split, found in names.items():
        (folder / f"{split}_list.txt").write_text("\n".join(found) + "\n")
        for name in found:
            media.put(folder / "YouTubeClips" / f"{name}.avi")
    every = [name for found in names.values() for name in found]
    captions = {name: [["a", "dog"], ["it", "runs", name]] for name in every}
    (folder / "raw-captions.pkl").write_bytes(pickle.dumps(captions, protocol=2))
    return Made(4)


def didemo(folder: Path, media: Media) -> Made:
    for split in ("train", "val", "test"):
        found = [
            {
                "video": f"1@N0_{split}.{'mov' if split == 'val' else 'mp4'}",
                "description": f"{word} moves. ",
                "times": [[0, 1]],
            }
            for word in ("one", "two")
        ]
        (folder / f"{split}_data.json").write_text(json.dumps(found))
        media.put(folder / "videos" / f"1@N0_{split}.{'avi' if split == 'val' else 'mp4'}")
    return Made(3)


TREES = {
    "meld": meld, "ecf": ecf, "semeval2024": semeval2024, "cremad": cremad, "ravdess": ravdess,
    "iemocap": iemocap, "mosi": _mmsa, "mosei": _mmsa, "sims": _mmsa, "emodb": emodb, "nemo": nemo,
    "qia2020": qia2020, "folder": folder_of_clips, "msrvtt": msrvtt, "msrvttqa": msrvttqa,
    "msvdqa": msvdqa, "msvd": msvd, "didemo": didemo, **FACE_TREES, **WORD_TREES,
}  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hostile_npz(path: Path) -> None:
    """An archive whose array is pickled."""
    np.save(path.with_suffix(".npy"), np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_suffix(".npy"), "word_embed.npy")
