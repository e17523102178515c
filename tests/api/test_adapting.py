"""Adapt a backbone from Python, and extract again."""

import pandas as pd
import pytest

import emo
from tests.adapt.conftest import CLASSES, SAYINGS, tiny


def frame():
    rows = []
    for number in range(30):
        label = CLASSES[number % 3]
        split = ("train", "train", "train", "val", "test")[number // 3 % 5]
        rows.append({"id": f"c{number}", "text": SAYINGS[label], "label": label, "split": split})
    return pd.DataFrame(rows)


def test_an_adaptation_gives_scores_weights_and_a_backbone(tmp_path):
    options = tiny("languagebind").options
    base = emo.backbone("languagebind", options.weights, streams="text", stored="float32")
    with pytest.raises(emo.EmoError, match="no layer is named oddity"):
        emo.adapt_backbones(frame(), base, tmp_path / "no", target_modules=["oddity"],
                            progress=False)  # fmt: skip
    adapted = emo.adapt_backbones(
        frame(), [base], tmp_path / "a", target_modules=["q_proj", "fc1"], num_train_epochs=1,
        head_options={"hidden": 4}, progress=False,
    )  # fmt: skip
    assert adapted.document["options"]["head_options"] == {"hidden": "4"}
    assert 0 <= adapted.frozen["test"]["weighted_f1"] <= 1
    assert "weighted_f1" in set(adapted.run.scores["score"])
    store = emo.extract_features(frame(), tmp_path / "f", [adapted.backbone(name="tuned")])
    assert len(store.read("tuned/text", frame())["c0"]) == 1
    assert emo.Adaptation(tmp_path / "a").weights == adapted.weights
    with pytest.raises(emo.EmoError, match="no finished adaptation"):
        emo.Adaptation(tmp_path / "f")
    with pytest.raises(emo.EmoError, match="expected one of languagebind"):
        adapted.backbone("other")
