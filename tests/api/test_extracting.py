"""Backbones from a cell: extracted here, refused where another process would need them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import emo
from emo import plugins

CLIPS = pd.DataFrame(
    {"text": ["a", "bbb", ""], "video": ["", "", "none.mp4"]},
    index=pd.Index(list("xyz"), name="id"),
)


def letters(add=0.0):
    """A new class each time, as a cell makes one each time it is run."""

    class Letters(emo.Backbone):
        @dataclass(frozen=True)
        class Options:
            scale: float = 1.0

        needs = emo.Needs(text=True)
        streams = {"text": emo.StreamSpec(2, "float32")}  # noqa: RUF012 - as in the docs
        more = add

        def encode_clip(self, media):
            return {"text": [[self.options.scale * len(media.text) + self.more, 1]]}

    return Letters


def test_the_documented_backbone_of_a_cell(tmp_path, recwarn):
    kind = letters()
    store = emo.extract_features(CLIPS[:2], tmp_path / "s", [kind(scale=2), "classic"])
    assert store.read("letters/text", ["x", "y"]).values.tolist() == [[2, 1], [6, 1]]
    assert "classic/text" in store.streams
    assert not recwarn.list


def test_a_clip_without_what_is_needed_fails_with_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="1 clip failed, z because of: TypeError"):
        store = emo.extract_features(CLIPS, tmp_path / "s", letters())
    assert store.failures["id"].tolist() == ["z"]


def test_an_edited_cell_is_another_recipe(tmp_path):
    emo.extract_features(CLIPS[:2], tmp_path / "s", [letters()])
    again = emo.extract_features(CLIPS[:2], tmp_path / "s", [letters()])
    assert len(again["letters/text"]) == 2
    with pytest.raises(emo.EmoError, match="code: "):
        emo.extract_features(CLIPS[:2], tmp_path / "s", [letters(add=1.0)])
    named = emo.backbone(letters(add=1.0), name="more")
    store = emo.extract_features(CLIPS[:2], tmp_path / "s", [named])
    assert store["more/text"]["x"].tolist() == [[2, 1]]


@pytest.mark.parametrize("given", [{"workers": 2}, {"executor": "slurm"}])
def test_other_processes_cannot_import_a_cell(given, tmp_path):
    with pytest.raises(emo.EmoError, match="workers=1"):
        emo.extract_features(CLIPS, tmp_path / "s", [letters()], **given)
    assert not (tmp_path / "s").exists()


def test_wrong_tokens_are_the_failure_of_the_clip(tmp_path):
    class Wide(letters()):
        def encode_clip(self, media):
            return {"text": np.ones((1, 3))}

    with pytest.warns(UserWarning, match="2 clips failed"):
        store = emo.extract_features(CLIPS[:2], tmp_path / "s", [Wide])
    assert "expected (T, 2)" in store.failures["reason"][0]


def test_options_are_checked_at_once():
    with pytest.raises(emo.EmoError, match="did you mean 'model'"):
        emo.backbone("hf", modle="x")
    with pytest.raises(emo.EmoError, match="has no weights"):
        emo.backbone("classic", "some/model")
    assert emo.backbone("hf", "some/model", name="m").options == {"model": "some/model"}
    assert emo.backbone("vggface", "w.pt").options == {"weights": "w.pt"}


def test_classes_of_files_keep_their_names_and_have_no_hash():
    from emo.extract.backbones.classic import Classic

    assert plugins.lend(Classic) == "classic"
    assert plugins.code_hash(Classic) is None
    assert plugins.code_hash(letters()) == plugins.code_hash(letters())
    assert plugins.code_hash(letters()) != plugins.code_hash(letters(add=1.0))


def test_the_hash_covers_what_the_class_refers_to():
    def made(body, **values):
        source = f"""
import emo
{body}
def build(factor=1):
    class Own:
        def encode_clip(self, media):
            return [helper(step) * factor for step in media.text]
    return Own
"""
        space = {"__name__": "a_cell", **values}
        exec(source, space)
        return space["build"](**({"factor": values["FACTOR"]} if "FACTOR" in values else {}))

    helper = "def helper(x):\n    return inner(x)\ndef inner(x):\n    return x + SHIFT\n"
    usual = plugins.code_hash(made(helper, SHIFT=1))
    assert plugins.code_hash(made(helper, SHIFT=1, text="not read")) == usual
    edited = [
        made(helper, SHIFT=2),
        made(helper.replace("x +", "x -"), SHIFT=1),
        made(helper, SHIFT=1, FACTOR=3),
        made(helper, SHIFT=np.arange(3)),
    ]
    assert len({usual, *map(plugins.code_hash, edited)}) == 5
