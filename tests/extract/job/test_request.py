"""Requests from the words of ``--backbone``: names of recipes, and what is refused."""

import pytest

from emo.errors import OptionError
from emo.extract.job.request import make_request, requests_from_words
from tests.make_backbone import Letters

LETTERS = "tests.make_backbone:Letters"


class Twin(Letters):
    """A backbone whose recipe names the class that it was copied from."""


def test_a_recipe_that_names_another_backbone_is_refused_before_the_work(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,one\n")
    code, _, err = emo("extract", "m.csv", "--backbone", f"{__name__}:Twin")
    assert (code, err.count("\n")) == (1, 1)
    assert f"'{__name__}:Twin': its recipe names the backbone '{LETTERS}', which is not" in err
    assert not (tmp_path / "features").exists()


def test_a_class_may_be_reached_by_two_names():
    request = make_request(f"{__name__}:Letters", "letters", {})
    assert request.recipe.backbone == LETTERS


def test_a_class_from_elsewhere_takes_a_recipe_name(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,one\n")
    words = ["--backbone", f"{LETTERS}:small", "--backbone", LETTERS, "-o", "small.width=2"]
    code, out, _ = emo("extract", "m.csv", *words)
    assert (code, "small    letters (T, 2)" in out) == (0, True)
    assert "letters  letters (T, 3)" in out


def test_a_recipe_name_with_a_colon_is_refused():
    for word in ("logmel:a:b", f"{LETTERS}:a:b", f"{LETTERS}:"):
        with pytest.raises(OptionError, match=r"recipe name '.*': expected letters, digits"):
            requests_from_words([word])
