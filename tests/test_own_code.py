"""Code of one's own that was edited since it made tokens or a run: it is told, never silent."""

import importlib
import sys
import warnings

import numpy as np
import pytest
import soundfile

from emo import plugins
from emo.machine.file_code import EditedCodeWarning, code_files_hash
from emo.machine.warning_lines import print_warnings_as_lines

LEVEL = '''
"""One token a clip."""
from dataclasses import asdict, dataclass, field
import numpy as np
from emo.extract.backbone import Backbone, Prepared
from emo.extract.media import Needs
from emo.store.recipe import Recipe, StreamSpec
import factor

@dataclass(frozen=True)
class Options:
    pass

class Level(Backbone):
    """A docstring."""
    Options = Options
    def __init__(self, options): self.options = options
    needs = classmethod(lambda cls, options: Needs(audio=True))
    recipe = classmethod(lambda cls, options: Recipe(
        "level:Level", {"audio": StreamSpec(1)}, asdict(options)))
    tokens = classmethod(lambda cls, options, seconds: {"audio": 1.0})
    load = classmethod(lambda cls, options, *, device: cls(options))
    tiny = classmethod(lambda cls: cls(Options()))

    def prepare(self, media):
        if media.samples is None:
            return Prepared({}, {"audio": media.absent["audio"]})
        return Prepared({"level": factor.FACTOR * np.abs(media.samples).mean()})

    def encode(self, batch):
        return [{"audio": np.full((1, 1), clip["level"], np.float32)} for clip in batch]
'''
HEAD = """
from dataclasses import dataclass
from emo.heads.library.mean_pool import MeanPoolHead

class Mine(MeanPoolHead):
    def forward(self, batch):
        return super().forward(batch)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write files into a folder on the Python path, and forget what was imported from there."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write(**sources):
        for name, text in sources.items():
            (folder / f"{name}.py").write_text(text)
        for name in [file.stem for file in folder.glob("*.py")]:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        sys.path_importer_cache.pop(str(folder), None)
        for cached in folder.glob("__pycache__/*"):  # edits of one second look alike to Python
            cached.unlink()

    yield write
    write()


def hash_of(name="level", kind="Level"):
    return code_files_hash(getattr(importlib.import_module(name), kind))


def test_only_words_that_run_change_the_hash(mine):
    mine(level=LEVEL, factor="FACTOR = 2")
    before = hash_of()
    described = LEVEL.replace("A docstring.", "Another.").replace("pass", "pass  # why", 1)
    mine(level=described + "\n\n# the end\n", factor='"""Two."""\nFACTOR = 2\n')
    assert hash_of() == before
    for edit in (
        {"level": LEVEL.replace(".mean()", ".max()")},
        {"level": LEVEL.replace("\n            return", "pass\n        return", 1)},
        {"factor": "FACTOR = 3"},
        {"level": LEVEL.replace('"audio": StreamSpec', '"sound": StreamSpec')},
    ):  # fmt: skip
        mine(**{"level": LEVEL, "factor": "FACTOR = 2", **edit})
        assert hash_of() != before, edit
    mine(level=LEVEL, factor="FACTOR = 2", other="x = 1")
    assert hash_of() == before, "a file that it does not import"


def test_classes_of_emo_and_of_installed_packages_beside_others(mine, tmp_path):
    from emo.heads.library.mean_pool import MeanPoolHead

    assert code_files_hash(MeanPoolHead) is None
    assert code_files_hash(dict) is None
    packages = tmp_path / "mine" / "site-packages"
    packages.mkdir(parents=True)
    sys.path.insert(0, str(packages))
    try:
        (packages / "level.py").write_text(LEVEL)
        (packages / "factor.py").write_text("FACTOR = 2")
        mine()
        alone = hash_of()
        (packages / "factor.py").write_text("FACTOR = 3")
        mine()
        assert hash_of() == alone, "another installed package is no part of this one"
    finally:
        sys.path.remove(str(packages))
        for name in ("level", "factor"):
            sys.modules.pop(name, None)


@pytest.fixture
def told(emo, recwarn):
    """Run the command; returns its warning lines."""

    def run(*words):
        with warnings.catch_warnings():
            warnings.simplefilter("always", EditedCodeWarning)
            code, out, err = emo(*words)
        assert code == 0, err + out
        return [line for line in err.splitlines() if "edited since" in line]

    return run


def test_predictions_and_more_tokens_of_edited_code_are_told(mine, told, tmp_path):
    rows = ["audio,label,split"]
    for k in range(12):
        sound = np.random.default_rng(k).normal(0, 0.02 * (1 + k % 2), 1600)
        soundfile.write(tmp_path / f"{k}.wav", sound, 16000)
        rows.append(f"{k}.wav,{'ab'[k % 2]},{'train' if k < 6 else 'val' if k < 9 else 'test'}")
    (tmp_path / "m.csv").write_text("\n".join(rows))
    mine(level=LEVEL, factor="FACTOR = 2", heads=HEAD)
    extract = ("extract", "m.csv", "--backbone", "level:Level", "--out", "f")
    fit = ("fit-head", "m.csv", "--features", "f", "--head", "heads:Mine", "--epochs", "2")
    predict = ("predict", "run", "--manifest", "m.csv", "--allow-code", "--out", "p.csv")
    assert told(*extract) == told(*fit, "--out", "run") == told(*predict) == []
    mine(level=LEVEL.replace('"""One', '"""Just one'))
    assert told(*predict) == told(*extract) == [], "a docstring was edited"

    mine(factor="FACTOR = 4")
    for words in (predict, extract, ("predict", "run", "0.wav", "--allow-code")):
        lines = told(*words)
        assert lines, words
        assert all("recipe 'level': the code of level:Level was edited" in line for line in lines)
    assert told(*predict, "--features", "f") == [], "stored tokens are those of the fit"

    turned = "{k: -v for k, v in super().forward(batch).items()}"
    mine(factor="FACTOR = 2", heads=HEAD.replace("super().forward(batch)", turned))
    lines = told(*predict, "--features", "f")
    assert len(lines) == 1
    assert "run: the code of its head heads:Mine was edited since it was fitted" in lines[0]
    assert lines[0].endswith("its predictions are wrong: fit it again")


def test_a_store_of_edited_code_is_told_to_a_run(mine, told, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 1600), 16000)
    rows = [f"a.wav,{k},{'ab'[k % 2]},{'train' if k < 4 else 'val'}" for k in range(6)]
    (tmp_path / "m.csv").write_text("\n".join(["audio,id,label,split", *rows]))
    mine(level=LEVEL, factor="FACTOR = 2")
    extract = ("extract", "m.csv", "--backbone", "level:Level", "--out")
    assert told(*extract, "f") == []
    told(
        "fit-head",
        "m.csv",
        "--features",
        "f",
        "--head",
        "mean_pool",
        "--epochs",
        "1",
        "--out",
        "run",
    )
    mine(factor="FACTOR = 4")
    assert told(*extract, "g") == []
    predict = ("predict", "run", "--manifest", "m.csv", "--out", "p.csv", "--features")
    assert told(*predict, "f") == []
    assert told(*predict, "g") != []


def test_hashes_of_sessions_and_of_earlier_versions_are_no_edit():
    from emo.machine.file_code import FILES_MARK, warn_if_edited

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for was, now in (
            (None, f"{FILES_MARK}1"),
            ("1", f"{FILES_MARK}1"),
            (f"{FILES_MARK}1", None),
            (3, f"{FILES_MARK}1"),
        ):
            warn_if_edited("it", "mend it", was, now)
    for was in (f"{FILES_MARK}1", f"{FILES_MARK}1 or {FILES_MARK}2"):
        with pytest.warns(EditedCodeWarning, match="it .comments do not count.. mend it"):
            warn_if_edited("it", "mend it", was, f"{FILES_MARK}2")
    assert not plugins.is_importable(type("Cell", (), {}))


def three_clips(folder):
    for k in range(12):
        soundfile.write(folder / f"{k}.wav", np.random.default_rng(k).normal(0, 0.1, 1600), 16000)
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    rows = [f"{k}.wav,{'ab'[k % 2]},{split}" for k, split in enumerate(splits)]
    (folder / "m.csv").write_text("\n".join(["audio,label,split", *rows]))


def test_an_error_in_code_of_ones_own_is_a_line_that_names_the_place(mine, emo, tmp_path):
    three_clips(tmp_path)
    mine(level=LEVEL.replace(".abs(", ".absent("), factor="FACTOR = 2", heads=HEAD)
    extract = ("extract", "m.csv", "--backbone", "level:Level", "--out", "f")
    code, out, _ = emo(*extract)
    assert (code, out.count("(level:Level, level.py, line 28, in prepare)")) == (3, 10)
    mine(level=LEVEL)
    with warnings.catch_warnings():
        warnings.simplefilter("always", EditedCodeWarning)
        code, _, err = emo(*extract, "--retry-failed")
    assert (code, "edited since" in err) == (0, True)

    mine(heads=HEAD.replace("super()", "super().missing"))
    fit = ("fit-head", "m.csv", "--features", "f", "--epochs", "1", "--head", "heads:Mine")
    for more in (("--out", "run"), ("--seeds", "2", "--threads", "2", "--out", "run")):
        code, out, err = emo(*fit, *more)
        said = (
            "emo: error: heads:Mine, heads.py, line 7, in forward: 'super' object has no attribute"
        )
        assert (code, said in err, err.count("\n")) == (1, True, 1), err
    code, out, err = emo(*fit, "--head", "mean_pool", "--out", "runs")
    assert "heads.py, line 7, in forward" in out + err


def test_versions_of_code_of_ones_own_are_not_versions_of_emo(mine, emo, tmp_path):
    three_clips(tmp_path)
    mine(level=LEVEL, factor="FACTOR = 2")
    extract = ("extract", "m.csv", "--backbone", "level:Level", "--out", "f")
    emo(*extract)
    emo(
        "fit-head", "m.csv", "--features", "f", "--epochs", "1", "--head", "mean_pool", "--out", "r"
    )
    mine(level=LEVEL.replace("asdict(options))", "asdict(options), version=2)"))
    predict = ("predict", "r", "--manifest", "m.csv", "--allow-code", "--out", "p.csv")
    for words in (extract, predict):
        code, _, err = emo(*words)
        assert (code, "version 1, and its file here has version 2" in err) == (1, True), err
        assert "emo 0" not in err


def test_what_a_class_lacks_is_told_with_the_file_of_the_contract(mine, emo, tmp_path):
    (tmp_path / "m.csv").write_text("audio\nno.wav\n")
    mine(level=LEVEL.replace("tiny = ", "small = "), factor="FACTOR = 2")
    _, _, err = emo("extract", "m.csv", "--backbone", "level:Level")
    assert "class Level lacks tiny; the contract is emo.extract.backbone (" in err
    assert "emo/extract/backbone.py)" in err


def test_what_made_the_tokens_counts_not_what_planned_or_began_the_store(mine, told, emo, tmp_path):
    three_clips(tmp_path)
    extract = ("extract", "m.csv", "--backbone", "level:Level", "--out", "f")
    fit = ("fit-head", "m.csv", "--features", "f", "--head", "mean_pool", "--epochs", "1")
    predict = ("predict", "run", "--manifest", "m.csv", "--allow-code", "--out", "p.csv")
    mine(level=LEVEL, factor="FACTOR = 2")
    assert told(*extract, "--executor", "slurm", "--dry-run") == []
    mine(factor="FACTOR = 4")
    assert emo("job", "run", "f/.jobs/0001", "--allow-code")[0] == 0
    assert told(*fit, "--out", "run") == []
    assert told(*predict) == [], "the code that made the tokens"
    assert told(*extract) == []
    mine(factor="FACTOR = 2")
    assert told(*predict), "the edit was undone after the tokens were made"
    assert told(*extract)


def test_a_store_of_mixed_code_is_told_by_each_fit(mine, told, emo, tmp_path):
    three_clips(tmp_path)
    rows = (tmp_path / "m.csv").read_text().splitlines()
    (tmp_path / "half.csv").write_text("\n".join(rows[:7]))
    fit = ("fit-head", "m.csv", "--features", "f", "--head", "mean_pool", "--epochs", "1")
    mine(level=LEVEL, factor="FACTOR = 2")
    told("extract", "half.csv", "--backbone", "level:Level", "--out", "f")
    mine(factor="FACTOR = 4")
    assert told("extract", "m.csv", "--backbone", "level:Level", "--out", "f")
    _, out, _ = emo(*fit, "--out", "run")
    said = "recipe 'level': the code of level:Level was edited between its tokens"
    assert said in " ".join(out.split())
    for factor in (2, 4):
        mine(factor=f"FACTOR = {factor}")
        assert told("predict", "run", "--manifest", "m.csv", "--allow-code", "--out", "p.csv")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ('version="2"', "version: expected a whole number"),
        ('facts={"a": {1, 2}}', "set is not JSON serializable"),
        ("weights=3", "weights: "),
    ],
)
def test_a_recipe_that_no_store_could_read_again_is_refused_before(
    mine, emo, tmp_path, fault, said
):
    three_clips(tmp_path)
    mine(level=LEVEL, factor="FACTOR = 2")
    extract = ("extract", "m.csv", "--backbone", "level:Level", "--out", "f")
    assert emo(*extract)[0] == 0
    mine(level=LEVEL.replace("asdict(options))", f"asdict(options), {fault})"))
    code, _, err = emo(*extract, "--as", "typo")
    assert (code, "the recipe of Level (" in err, "level.py) cannot be stored: " in err) == (
        1, True, True,
    )  # fmt: skip
    assert said in err
    assert sorted(path.name for path in (tmp_path / "f").iterdir() if path.is_dir()) == [
        ".jobs", "level",
    ]  # fmt: skip
    assert emo("store", "ls", "f")[0] == 0


def test_workers_say_warnings_in_a_line_and_leave_those_of_others(capsys):
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        print_warnings_as_lines()
        warnings.warn("an edit\nof \x1b[2K code", EditedCodeWarning, stacklevel=1)
        warnings.warn("theirs", FutureWarning, stacklevel=1)
    assert capsys.readouterr().err == "emo: warning: an edit\\nof \\x1b[2K code\n"
    assert [str(each.message) for each in others] == ["theirs"]
