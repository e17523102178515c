"""Pickles of dialogues, laid out as DialogueRNN, MMGCN, COSMIC and COGMEN unpack them."""

import os
import pickle

import numpy as np
import pytest

from emo.errors import StoreError
from emo.manifest import read_manifest
from tests.store.interop.bring import bring

DIALOGUES = {"Ses01F_impro01": 3, "Ses02M_impro02": 2}
RNG = np.random.default_rng(0)


def by_dialogue(make):
    return {key: [make(key, turn) for turn in range(n)] for key, n in DIALOGUES.items()}


IDS = by_dialogue(lambda key, turn: f"{key}_F{turn:03}")
SPEAKERS = by_dialogue(lambda key, turn: "FM"[turn % 2])
ONE_HOT = by_dialogue(lambda key, turn: [0, 1, 0] if turn % 2 else [1, 0, 0])
LABELS = by_dialogue(lambda key, turn: turn)
SENTENCES = by_dialogue(lambda key, turn: f"so {turn}")
TRAIN, TEST = ["Ses01F_impro01"], {"Ses02M_impro02"}


def features(width):
    return by_dialogue(lambda key, turn: RNG.normal(size=width).astype("f4"))


def lists(width):
    return by_dialogue(lambda key, turn: RNG.normal(size=width).tolist())


T, A, V = features(4), features(3), features(5)
FILES = {
    "IEMOCAP_features": (IDS, SPEAKERS, LABELS, T, A, V, SENTENCES, TRAIN, TEST),
    "MELD_features_raw": (IDS, ONE_HOT, LABELS, lists(4), A, SENTENCES, TRAIN, TEST, LABELS),
    "MELD_features_raw1": (IDS, ONE_HOT, LABELS, T, A, V, SENTENCES, TRAIN, TEST, LABELS),
    "iemocap_roberta": (SPEAKERS, LABELS, T, T, T, T, SENTENCES, TRAIN, TEST, []),
    "meld_roberta": (ONE_HOT, LABELS, LABELS, T, T, T, T, SENTENCES, TRAIN, TEST, []),
}  # fmt: skip
STREAMS = {
    "IEMOCAP_features": ["text", "audio", "visual"], "MELD_features_raw": ["text", "audio"],
    "MELD_features_raw1": ["text", "audio", "visual"],
    "iemocap_roberta": ["text1", "text2", "text3", "text4"],
    "meld_roberta": ["text1", "text2", "text3", "text4"],
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_utterance_is_a_clip_with_its_labels(tmp_path, name):
    protocol = 2 if name == "IEMOCAP_features" else 4
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(FILES[name], protocol=protocol))
    options = {"allow_pickle": True, "wants_labels": True}
    folder, report = bring(tmp_path, "erc", tmp_path / "x.pkl", **options)
    assert sorted(folder.recipe.streams) == sorted(STREAMS[name])
    has_ids = "roberta" not in name
    first = "Ses01F_impro01_F001" if has_ids else "Ses01F_impro01_1"
    cells = report.cells[first]
    assert (cells["dialogue"], cells["turn"], cells["split"]) == ("Ses01F_impro01", "1", "train")
    assert (cells["label"], cells["text"]) == ("1", "so 1")
    assert cells["speaker"] in ("M", "1")
    assert {row["split"] for row in report.cells.values()} == {"train", "test"}
    if name == "IEMOCAP_features":
        found = folder.read("audio", [first]).values[0]
        assert found.tobytes() == A["Ses01F_impro01"][1].tobytes()
    assert ("the file's own" in report.table()) == has_ids


def test_dict_lists_of_dialogues(tmp_path, emo):
    def dialogues(key):
        return [{
            "vid": key, "speakers": SPEAKERS[key], "labels": LABELS[key], "text": T[key],
            "audio": np.array(A[key]), "sentence": SENTENCES[key],
        }]  # fmt: skip

    data = {"train": dialogues("Ses01F_impro01"), "dev": [], "test": dialogues("Ses02M_impro02")}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(data))
    words = ["store", "import", "erc", "x.pkl", "--allow-pickle", "--manifest", "m.csv"]
    code, _, err = emo(*words)
    assert code == 0, err
    clip = read_manifest(tmp_path / "m.csv").clips[-1]
    assert (clip.id, clip.split, clip.dialogue, clip.turn) == (
        "Ses02M_impro02_1", "test", "Ses02M_impro02", 1,
    )  # fmt: skip
    assert (clip.text, clip.speaker, clip.targets) == ("so 1", "M", {"label": "1"})


class Attack:
    def __reduce__(self):
        return os.system, ("echo owned",)


WRONG = {
    "code": ((Attack(),), "refused: the pickle asks for posix.system"),
    "short": (
        (IDS, SPEAKERS, LABELS, {**T, "Ses02M_impro02": []}, A, V, TRAIN, TEST),
        "has 2 for 0",
    ),
    "both": ((IDS, SPEAKERS, LABELS, T, A, V, TRAIN, [*TRAIN]), None),
    "numbers": ([1, 2, 3, 4], "expected features"),
}


@pytest.mark.parametrize("what", WRONG)
def test_other_pickles_are_one_line(tmp_path, what):
    data, message = WRONG[what]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(data))
    match = message or "is in test and in another split"
    with pytest.raises(StoreError, match=match):
        bring(tmp_path, "erc", tmp_path / "x.pkl", allow_pickle=True)
