"""What every backbone must do; a new file in emo/extract/backbones/ is tested by itself."""

import dataclasses
import typing

import numpy as np
import pytest

from emo import plugins
from emo.errors import EmoError
from emo.extract.backbone import Backbone, recipe_options
from emo.extract.media import Faces, Media
from emo.machine.libraries import MissingLibraryError
from emo.store.recipe import Recipe

BACKBONES = "emo.extract.backbones"
REASON = "the test left it out"


@pytest.fixture(scope="module", params=plugins.available(BACKBONES))
def backbone(request):
    try:
        return plugins.load(BACKBONES, request.param, Backbone).tiny()
    except MissingLibraryError as error:
        if "[extract]" in str(error):
            raise
        pytest.skip(str(error))  # an extra of its own that is not installed


def media(backbone, *, seconds=1.3, seed=0):
    """What the decoder would hand to this backbone for a clip of random content."""
    needs, random = type(backbone).needs(backbone.options), np.random.default_rng(seed)
    frames = moments = faces = samples = array = None
    if needs.frames is not None:
        times = np.arange(round(seconds * 25)) / 25
        moments = times[needs.frames.indices(times)]
        shape = (needs.squash, needs.squash) if needs.squash else (72, 96)
        frames = random.integers(0, 256, (len(moments), *shape, 3), dtype=np.uint8)
        if needs.transform is not None:
            frames = np.stack([needs.transform(frame) for frame in frames])
    if needs.faces is not None:
        shape = (len(moments), needs.faces.size, needs.faces.size, 3)
        crops = random.integers(0, 256, shape, dtype=np.uint8)
        faces = Faces(crops, np.arange(len(moments)) % 2 == 0)
    if needs.array:
        (dim,) = {spec.dim for spec in recipe_of(backbone).streams.values()}
        array = random.normal(size=(1 + round(2 * seconds), dim))
    if needs.audio:
        samples = random.normal(0, 0.1, (2, round(seconds * 22050))).astype(np.float32)
    return Media(
        frames=frames if needs.keep_frames else None,
        frame_seconds=moments if needs.keep_frames else None,
        faces=faces,
        samples=samples,
        sample_rate=22050 if needs.audio else None,
        text=f"What is this, number {seed}?!" if needs.text else None,
        array=array,
    )


def recipe_of(backbone):
    return type(backbone).recipe(backbone.options)


def encode(backbone, *clips):
    return backbone.encode([backbone.prepare(clip).inputs for clip in clips])


def test_tokens_are_what_the_recipe_says(backbone):
    recipe = recipe_of(backbone)
    prepared = backbone.prepare(media(backbone))
    (tokens,) = backbone.encode([prepared.inputs])
    assert not prepared.absent
    assert set(tokens) == set(recipe.streams)
    for name, spec in recipe.streams.items():
        assert tokens[name].ndim == 2
        assert len(tokens[name]) >= 1
        assert tokens[name].shape[1] == spec.dim
        kind = np.dtype(spec.dtype).kind
        assert tokens[name].dtype == (np.float32 if kind == "f" else np.dtype(spec.dtype))
        assert np.isfinite(tokens[name].astype(spec.dtype)).all(), "overflows as it is stored"


def test_a_clip_alone_equals_the_clip_in_a_batch(backbone):
    clips = [media(backbone, seconds=s, seed=k) for k, s in enumerate((1.3, 0.2, 2.1))]
    for clip, together in zip(clips, encode(backbone, *clips), strict=True):
        (alone,) = encode(backbone, clip)
        for name in alone:
            np.testing.assert_allclose(together[name], alone[name], rtol=1e-5, atol=1e-5)


def test_the_same_clip_gives_the_same_bits_twice(backbone):
    clip = media(backbone)
    (first,), (second,) = encode(backbone, clip), encode(backbone, clip)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_different_clips_give_different_tokens(backbone):
    first, second = encode(backbone, media(backbone, seed=1), media(backbone, seed=2))
    for name in first:
        assert first[name].shape != second[name].shape or (first[name] != second[name]).any()


def test_the_forecast_of_tokens_is_near_the_truth(backbone):
    (tokens,) = encode(backbone, media(backbone, seconds=2.0))
    forecast = type(backbone).tokens(backbone.options, 2.0)
    for name, rows in tokens.items():
        assert forecast[name] == pytest.approx(len(rows), rel=0.3, abs=2)


def test_a_clip_of_nothing_is_absent_in_every_stream_with_a_reason(backbone):
    needs = type(backbone).needs(backbone.options)
    asked = {"video": needs.keep_frames, "face": needs.faces, "audio": needs.audio}
    asked |= {"text": needs.text, "array": needs.array}
    absent = {modality: REASON for modality, is_asked in asked.items() if is_asked}
    prepared = backbone.prepare(Media(absent=absent))
    assert prepared.inputs == {}
    assert set(prepared.absent) == set(recipe_of(backbone).streams)
    assert all(prepared.absent.values())


@pytest.mark.parametrize("modality", ["face", "audio", "text", "array"])
def test_each_stream_is_made_or_absent_when_a_modality_is_missing(backbone, modality):
    parts = {"face": ["faces"], "audio": ["samples", "sample_rate"]}.get(modality, [modality])
    clip = media(backbone)
    if getattr(clip, parts[0]) is None:
        return  # this backbone never asks for it
    lacking = dataclasses.replace(clip, **dict.fromkeys(parts), absent={modality: REASON})
    prepared = backbone.prepare(lacking)
    (tokens,) = backbone.encode([prepared.inputs]) if prepared.inputs else ({},)
    assert set(tokens) | set(prepared.absent) == set(recipe_of(backbone).streams)
    assert not set(tokens) & set(prepared.absent)
    (whole,) = encode(backbone, clip)
    for name in tokens:
        np.testing.assert_array_equal(tokens[name], whole[name])


def test_the_fingerprint_is_stable_and_survives_json(backbone):
    recipe = recipe_of(backbone)
    assert recipe.fingerprint == recipe_of(backbone).fingerprint
    assert Recipe.from_json(recipe.to_json()).fingerprint == recipe.fingerprint
    assert recipe.options == recipe_options(backbone.options)


def test_every_option_changes_the_fingerprint(backbone):
    base = recipe_of(backbone).fingerprint
    for field in dataclasses.fields(backbone.options):
        if not field.metadata.get("recipe", True):
            continue  # says where something lies
        changed = recipe_with(backbone, field)
        assert changed is None or changed.fingerprint != base, field.name


def recipe_with(backbone, field):
    """The recipe with another legal value of one option; None: no other value can be guessed."""
    value, kind = getattr(backbone.options, field.name), type(backbone)
    hint = typing.get_type_hints(type(backbone.options))[field.name]
    guesses = list(typing.get_args(hint))
    if typing.get_origin(hint) is not typing.Literal:
        guesses = [1000.0, 2, *guesses]
    if isinstance(value, bool):
        guesses = [not value]
    elif isinstance(value, int | float):
        guesses = [value * 2, value + 1, value / 2]
    for guess in guesses:
        if guess != value and not isinstance(guess, type):
            try:
                return kind.recipe(dataclasses.replace(backbone.options, **{field.name: guess}))
            except (ValueError, TypeError, EmoError):
                continue
    return None


def test_every_option_has_a_default_and_help(backbone):
    fields = dataclasses.fields(type(backbone).Options)
    assert all(field.metadata.get("help") for field in fields)
    assert type(backbone).Options() is not None
    assert isinstance(backbone.options, type(backbone).Options)
