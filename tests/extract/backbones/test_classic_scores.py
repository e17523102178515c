"""Real data: the hand-made features are worth what the README says of them (pytest -m slow)."""

import numpy as np
import pandas as pd
import pytest

from emo.extract.backbones.classic import Classic
from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.media import Media, Needs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def classic():
    return Classic.load(Classic.Options(), device="cpu")


def stored(classic, media, stream):
    return classic.prepare(media).inputs[stream].astype(np.float16).astype(np.float64)


def test_hashed_text_on_the_official_split_of_meld(real_data, classic):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    def split(name):
        table = pd.read_csv(real_data / "text" / "MELD" / f"{name}_sent_emo.csv")
        texts = [stored(classic, Media(text=text), "text") for text in table.Utterance]
        return np.concatenate(texts), table.Emotion

    train, labels = split("train")
    test, truth = split("test")
    model = LogisticRegression(C=3, max_iter=300).fit(train, labels)
    assert f1_score(truth, model.predict(test), average="weighted") >= 0.54


def test_prosody_on_unseen_speakers_of_nemo(real_data, classic):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.preprocessing import StandardScaler

    table = pd.read_csv(real_data / "speech" / "labels.csv")
    pooled = []
    for path in table.audio:
        (media,) = load_media(ClipSource(audio=real_data / path), [Needs(audio=True)])
        rows = stored(classic, media, "audio")
        pooled.append(np.concatenate([rows.mean(0), rows.std(0)]))
    features, recalls = np.array(pooled), []
    for speaker in sorted(table.speaker.unique()):
        is_test = (table.speaker == speaker).to_numpy()
        scale = StandardScaler().fit(features[~is_test])
        model = LogisticRegression(C=0.3, max_iter=2000)
        model.fit(scale.transform(features[~is_test]), table.label[~is_test])
        predicted = model.predict(scale.transform(features[is_test]))
        truth = table.label[is_test]
        recalls.append(recall_score(truth, predicted, average="macro", labels=truth.unique()))
    assert np.mean(recalls) >= 0.24  # chance: 0.167
