"""Presets of `emo adapt` name what there is, and are told apart from those of `emo fit-head`."""

import pytest

from emo import plugins
from emo.adapt.options import AdaptOptions
from emo.adapt.planning.presets import ADAPT_PRESETS, find_adapt_preset
from emo.errors import OptionError
from emo.extract.job.request import backbones_from_words
from emo.extract.models.model import Model
from emo.heads.head import Head
from emo.heads.presets import PRESETS


@pytest.mark.parametrize("name", ADAPT_PRESETS)
def test_a_preset_names_backbones_options_and_a_head_that_exist(name):
    preset = ADAPT_PRESETS[name]
    options = AdaptOptions.of(**preset.fields)
    every = backbones_from_words(options.backbones, options.backbone_options)
    assert all(issubclass(kind, Model) for kind, _ in every.values())
    kind = plugins.load(plugins.HEADS, options.fit.head, Head)
    plugins.parse_options(kind.Options, options.fit.head_options, options.fit.head)
    assert kind.unit == "clip"
    live = {stream.partition("/")[0] for stream in options.fit.scaling}
    assert live <= every.keys()
    assert not {stream.partition("/")[0] for stream in options.fit.streams} & every.keys()


def test_names_differ_from_those_of_fit_head():
    assert not PRESETS.keys() & ADAPT_PRESETS.keys()
    assert all(name.startswith("adapt-") for name in ADAPT_PRESETS)
    with pytest.raises(OptionError, match=r"languagebind-exp2 is one of emo fit-head.*adapt-lang"):
        find_adapt_preset("languagebind-exp2")
    with pytest.raises(OptionError, match="did you mean 'adapt-languagebind-exp5'"):
        find_adapt_preset("adapt-languagebind-exp55")


def test_list_says_which_command_a_preset_is_for_and_its_f1(emo):
    code, out, _ = emo("list", "presets")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert code == 0
    assert rows["languagebind-exp2"][0] == "fit-head"
    assert rows["adapt-languagebind-exp6"][0] == "adapt"
    assert "0.3375" in rows["adapt-languagebind-exp6"]
    assert "0.3941" in rows["adapt-videollama-exp4"]


def test_list_shows_a_preset_as_it_is_typed(emo):
    _, out, _ = emo("list", "presets", "adapt-languagebind-exp5")
    words = " ".join(out.split())
    assert "emo adapt --preset" in words
    assert "--target-modules q_proj,k_proj,v_proj,out_proj,fc1,fc2" in words
    assert "--scaling languagebind/video=unit*logit_scale" in words.replace("'", "")
    assert "-o linear.solver=adamw" in words
    assert "below 0.3646" in words
    code, _, said = emo("list", "presets", "adapt-nothing")
    assert code == 1
    assert "adapt-" in said
