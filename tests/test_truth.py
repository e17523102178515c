"""The table of benchmarks/truth.sh: figures of others stand only beside runs on their data."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "truth.py"


@pytest.fixture(scope="module")
def truth():
    spec = importlib.util.spec_from_file_location("truth", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_run(runs, name, recipe, key):
    scores = {"mean": {key: 0.5}, "std": {key: 0.0}, "interval": {key: [0.4, 0.6]}}
    test = {"clips": 10, "majority": {key: 0.2}, **scores}
    folder = runs / name / recipe / "linear" / "plain"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"metrics": {"test": test}}))


@pytest.mark.parametrize(
    ("names", "words", "published"),
    [
        (["speech", "meld"], [], ["2404.06292", "1908.11540", "2108.12009"]),
        (["speech"], [], ["2404.06292"]),
        (["speech"], ["--own-speech"], []),
        (["meld"], ["--own-speech"], ["1908.11540", "2108.12009"]),
    ],
)
def test_published_figures_stand_beside_runs_on_their_data(
    names, words, published, truth, tmp_path, monkeypatch, capsys
):
    for name in names:
        recipe, key = ("minilm", "weighted_f1") if name == "meld" else ("classic", "uar")
        write_run(tmp_path / "runs", name, recipe, key)
    call = ["truth.py", "table", str(tmp_path), str(tmp_path / "speech.csv"), *words]
    monkeypatch.setattr("sys.argv", call)
    truth.main()
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2 + len(names) + len(published), out
    assert [name for name in published if f"arXiv:{name}" not in out] == []
    assert out.count("published") == len(published)


def test_the_script_says_that_the_speech_is_the_users_own():
    text = SCRIPT.with_suffix(".sh").read_text(encoding="utf-8")
    assert "${SPEECH:+--own-speech}" in text
