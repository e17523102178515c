"""Zero-shot classes and normalisations: what the originals' own functions give."""

import json

import numpy as np
import pytest

from emo.heads.metrics.measures import measure
from emo.heads.metrics.retrieval import ranks_of_matrix
from emo.predict.similarity import zero_shot as zero_shot_module
from emo.predict.similarity.classes import (
    Calibration,
    average_precisions,
    calibration_of,
    class_cosines,
    class_vectors,
)
from emo.predict.similarity.normalise import dual_softmax, query_bank
from emo.predict.similarity.search import SearchOptions
from emo.store import PartWriter, Recipe, Store, StreamSpec
from tests.score.make import GOLDEN, needs_golden, write
from tests.similarity.make import vectors


@pytest.fixture(scope="module")
def arrays():
    return np.load(GOLDEN / "retrieval" / "similarity.npz")


@pytest.fixture(scope="module")
def expected():
    return json.loads((GOLDEN / "retrieval" / "similarity.json").read_text())


@needs_golden
def test_zero_shot_is_clip_benchmarks(arrays, expected):
    wanted = expected["zero_shot"]
    counts = [len(wanted["templates"])] * len(wanted["classes"])
    classes = class_vectors(vectors(arrays["zs_prompts"]), counts, wanted["classes"])
    np.testing.assert_allclose(classes.rows, arrays["zs_classifier"], rtol=0, atol=1e-6)
    cosines = class_cosines(vectors(arrays["zs_clips"]), classes)
    np.testing.assert_allclose(100 * cosines, arrays["zs_logits"], rtol=0, atol=2e-5)
    found = measure("classify", arrays["zs_target"], cosines.argmax(1), classes=5)
    assert float(found["accuracy"]) == pytest.approx(wanted["acc1"], abs=1e-9)
    assert float(found["uar"]) == pytest.approx(wanted["mean_per_class_recall"], abs=1e-9)
    precision = average_precisions(cosines, arrays["zs_multilabel"])
    np.testing.assert_allclose(precision, arrays["zs_average_precision"], atol=1e-6)
    mean = wanted["mean_average_precision"]
    assert precision.mean() == pytest.approx(mean, abs=1e-6)


@needs_golden
def test_zero_shot_with_several_labels_ranks_by_cosine(arrays, expected, tmp_path, monkeypatch):
    wanted = expected["zero_shot"]
    names, clips = wanted["classes"], arrays["zs_clips"]
    recipe = Recipe("x", {"video": StreamSpec(clips.shape[1], "float32")})
    folder = Store.create(tmp_path / "features").add_recipe("x", recipe)
    labels = []
    with PartWriter(folder.path, recipe) as part:
        for k, row in enumerate(clips.astype(np.float32)):
            part.add(f"c{k}", {"video": row[None]})
            own = "|".join(names[j] for j in np.flatnonzero(arrays["zs_multilabel"][k]))
            labels.append((f"c{k}", "x", own or "none"))
    write(tmp_path / "m.csv", "id,text,label", *labels)
    texts = vectors(arrays["zs_prompts"])
    monkeypatch.setattr(zero_shot_module, "text_vectors", lambda *a, **k: (texts, [], {}))
    prompts = {name: wanted["templates"] for name in names}
    options = SearchOptions(manifest=tmp_path / "m.csv")
    report = zero_shot_module.zero_shot(
        tmp_path / "features", prompts, options, out=tmp_path / "run"
    )
    found = report.scores["test"]["mean"]["mean_average_precision"]
    assert found == pytest.approx(wanted["mean_average_precision"], abs=1e-6)
    assert "at most one exceeds 0.5" in " ".join(report.lines)


@needs_golden
@pytest.mark.parametrize("name", ["norm_sims", "norm_dsl_scaled100", "norm_qb", "norm_qb_k10"])
def test_normalisations_are_the_originals(name, arrays, expected):
    sims, bank = arrays["norm_sims"], arrays["norm_bank"]
    found = {
        "norm_sims": sims,
        "norm_dsl_scaled100": dual_softmax(sims),
        "norm_qb": query_bank(sims, bank),
        "norm_qb_k10": query_bank(sims, bank, nearest=10),
    }[name]
    np.testing.assert_allclose(found, arrays[name], rtol=2e-6, atol=1e-6)
    scores = ranks_of_matrix(found, np.arange(len(sims)), "text_to_video").scores()
    wanted = expected[name]
    for key, theirs in (("r@1", "R1"), ("r@5", "R5"), ("r@10", "R10")):
        assert 100 * scores[key] == pytest.approx(wanted[theirs])
    assert scores["medr"] == wanted["MedianR"]
    assert scores["meanr"] == pytest.approx(wanted["MeanR"])


def test_probabilities_are_those_that_the_weights_were_trained_with():
    cosines = np.array([[0.3, 0.1, 0.29]], np.float32)
    assert calibration_of({}, "video") == Calibration()
    clip = calibration_of({"logit_scale": {"video": np.log(50.0), "audio": 1.0}}, "video")
    assert clip.probabilities(cosines).sum() == pytest.approx(1)
    ratio = np.divide(*clip.probabilities(cosines)[0, :2])
    assert ratio == pytest.approx(np.exp(50 * 0.2), rel=1e-4)
    facts = {"logit_scale": float(np.log(10.0)), "logit_bias": -2.0, "probability": "sigmoid"}
    siglip = calibration_of(facts, "video").probabilities(cosines)
    np.testing.assert_allclose(siglip, 1 / (1 + np.exp(-(10 * cosines - 2))), rtol=1e-6)
