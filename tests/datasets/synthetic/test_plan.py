from collections import Counter

import numpy as np
import pytest

from emo.datasets.synthetic.plan import CLASSES, SPEAKERS, plan_clips, shuffled_labels


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("clips", [4, 5, 10])
def test_each_modality_shows_the_label_in_three_clips_of_four(seed, clips):
    plan = plan_clips(seed, clips)
    assert len(plan) == len(CLASSES) * len(SPEAKERS) * clips
    for modality in ("face", "audio", "text"):
        right = [getattr(clip, modality) == clip.label for clip in plan]
        assert np.mean(right) == pytest.approx(0.75, abs=0.03)


def test_errors_of_the_modalities_are_independent():
    plan = [clip for seed in range(20) for clip in plan_clips(seed, 10)]  # 4800 clips
    wrong = np.array([[getattr(c, m) != c.label for m in ("face", "audio", "text")] for c in plan])
    for one, two in ((0, 1), (0, 2), (1, 2)):
        both = np.mean(wrong[:, one] & wrong[:, two])
        assert both == pytest.approx(0.25**2, abs=0.011)  # three standard errors


def test_a_wrong_class_is_any_other_equally():
    plan = [clip for seed in range(20) for clip in plan_clips(seed, 10)]
    pairs = Counter((clip.label, clip.face) for clip in plan if clip.face != clip.label)
    assert len(pairs) == 12
    assert min(pairs.values()) > 0.9 * max(pairs.values())


def test_every_speaker_has_every_label_equally_often():
    pairs = Counter((clip.speaker, clip.label) for clip in plan_clips(3, 5))
    assert set(pairs.values()) == {5}
    assert len(pairs) == 24


def test_shuffled_labels_keep_their_counts_by_speaker_and_agree_by_chance():
    plan = plan_clips(0, 10)
    labels = shuffled_labels(plan, 0)
    before = Counter((clip.speaker, clip.label) for clip in plan)
    after = Counter((clip.speaker, label) for clip, label in zip(plan, labels, strict=True))
    assert before == after
    same = np.mean([clip.label == label for clip, label in zip(plan, labels, strict=True)])
    assert same == pytest.approx(0.25, abs=0.1)


def test_ids_are_unique_and_hide_the_label():
    plan = plan_clips(0, 10)
    assert len({clip.id for clip in plan}) == 240
    assert not [name for clip in plan for name in CLASSES if name in clip.id]
