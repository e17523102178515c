"""Conversations with causes, from SemEval's JSON and ECF's text."""

import json

import pytest

from emo.errors import ManifestError
from emo.manifest.conversations import from_conversations

ECF = """1 2
(2,1),(2,2)
1 | Joey | neutral | Look , a duck ! | Friends_S1E1: 00:00:01.000 - 00:00:02.000
2 | Ross | joy | A duck | or a goose ? | Friends_S1E1: 00:00:02.000 - 00:00:03.000
"""
SEMEVAL = [
    {
        "conversation_ID": 1,
        "conversation": [
            {"utterance_ID": 1, "text": "Look!", "speaker": "Joey", "emotion": "neutral"},
            {"utterance_ID": 2, "text": "A duck", "speaker": "Ross", "emotion": "joy"},
        ],
        "emotion-cause_pairs": [["2_joy", "1_Look"], ["2_joy", "1_!"], ["2_joy", "2_A duck"]],
    }
]


def test_both_formats_give_the_same_causes(tmp_path):
    (tmp_path / "a.txt").write_text(ECF)
    (tmp_path / "b.json").write_text(json.dumps(SEMEVAL))
    parts = {"train": tmp_path / "a.txt", "test": tmp_path / "b.json"}
    clips = from_conversations(parts, out=tmp_path / "m.csv").clips
    assert [clip.id for clip in clips] == ["train/1/1", "train/1/2", "test/1/1", "test/1/2"]
    assert [clip.dialogue for clip in clips] == ["train/1", "train/1", "test/1", "test/1"]
    assert clips[1].text == "A duck | or a goose ?"
    for first, second in (clips[:2], clips[2:]):
        assert first.targets == {"emotion": "neutral", "is_cause": "yes", "cause": "none"}
        assert second.targets == {"emotion": "joy", "is_cause": "yes", "cause": "joy:1 joy:2"}


@pytest.mark.parametrize("text", ["1 2\n(1,1)\n", "hello", "1 1\n(1,9)\nx | y\n"])
def test_a_foreign_file_is_named(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ManifestError, match=r"a\.txt: expected conversations as SemEval-2024"):
        from_conversations({"train": tmp_path / "a.txt"}, out=tmp_path / "m.csv")


def test_numbers_of_utterances_may_be_text(tmp_path):
    said = [{**each, "utterance_ID": str(each["utterance_ID"])} for each in said_of(SEMEVAL)]
    (tmp_path / "a.json").write_text(json.dumps([{**SEMEVAL[0], "conversation": said}]))
    clips = from_conversations({"train": tmp_path / "a.json"}, out=tmp_path / "m.csv").clips
    assert [clip.targets["cause"] for clip in clips] == ["none", "joy:1 joy:2"]
    assert [clip.targets["is_cause"] for clip in clips] == ["yes", "yes"]


def said_of(document):
    return document[0]["conversation"]


def test_hidden_labels_are_empty_cells_and_no_cause_is_none(tmp_path):
    hidden = [{k: v for k, v in each.items() if k != "emotion"} for each in said_of(SEMEVAL)]
    (tmp_path / "a.json").write_text(json.dumps([{"conversation_ID": 7, "conversation": hidden}]))
    (clip, _) = from_conversations({"test": tmp_path / "a.json"}, out=tmp_path / "m.csv").clips
    assert (clip.id, clip.speaker, clip.targets) == ("test/7/1", "Joey", {})
    none = [{**SEMEVAL[0], "emotion-cause_pairs": []}]
    (tmp_path / "a.json").write_text(json.dumps(none))
    (clip, _) = from_conversations({"test": tmp_path / "a.json"}, out=tmp_path / "n.csv").clips
    assert clip.targets == {"emotion": "neutral", "is_cause": "no", "cause": "none"}


@pytest.mark.parametrize(
    ("split", "document", "message"),
    [
        ("foo", SEMEVAL, "--split foo=.*expected one of train"),
        ("train", [], "no dialogues"),
        ("train", [1], "expected conversations as SemEval-2024"),
        ("train", SEMEVAL * 2, "conversation 1, utterance 1 have the same id"),
        ("train", [{**SEMEVAL[0], "conversation": [
            {**SEMEVAL[0]["conversation"][0], "text": ""}]}], "no text; fill one of them"),
        ("train", [{**SEMEVAL[0], "conversation": [
            {**SEMEVAL[0]["conversation"][0], "text": "\ud83d"}]}], "half of a character"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_manifest_writes_nothing(tmp_path, split, document, message):
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(ManifestError, match=message):
        from_conversations({split: tmp_path / "a.json"}, out=tmp_path / "m.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json"]
