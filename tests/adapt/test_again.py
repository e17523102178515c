"""What an adaptation prints as the next step works as it is printed."""

import shlex

import pytest

from emo.extract.backbones.hf import HF
from emo.store.store import Store
from tests.adapt.conftest import options_of, run_adapt


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    HF.write_tiny(folder)
    return folder


def printed(lines):
    """The command after ``extract again:``, as a shell reads it."""
    text = "\n".join(lines).partition("extract again:\n")[2]
    return shlex.split(text.replace("\\\n", " "))


def test_the_printed_extraction_makes_the_tokens_of_the_run(bert, weights, clips, tmp_path, emo):
    options = options_of(
        weights, backbones=("hf:b", "languagebind"), max_steps=1, method="full",
        backbone_options=(
            f"b.weights={bert}", "b.model=it's", "b.layers=1", f"languagebind.weights={weights}",
            "languagebind.streams=text", "languagebind.stored=float32",
        ),
    )  # fmt: skip
    report = run_adapt(clips, tmp_path / "a b", options)
    command, *words = printed(report.lines)
    assert command == "emo"
    code, _, error = emo(*words)
    assert code == 0, error
    new = {name: each.recipe.fingerprint for name, each in Store("features").recipes.items()}
    sources = report.finished.result.data.sources
    assert new == {
        f"{each.name.partition('/')[0]}-tuned": each.recipe.fingerprint for each in sources
    }


def test_the_printed_extraction_has_the_columns_and_the_root(weights, clips, tmp_path, emo):
    other = tmp_path / "in" / "m.csv"
    other.parent.mkdir()
    other.write_text(clips.read_text().replace("id,text", "id,words"))
    (tmp_path / "media").mkdir()
    code, said, error = emo(
        "adapt", other, "--column", "text=words", "--root", "media", "--backbone", "languagebind",
        "-o", f"languagebind.weights={weights}", "-o", "streams=text", "--method", "full",
        "--max-steps", "1", "--out", "a",
    )  # fmt: skip
    assert code == 0, error
    code, _, error = emo(*printed(said.splitlines())[1:])
    assert code == 0, error
    assert list(Store("features").recipes) == ["tuned"]
