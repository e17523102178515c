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
