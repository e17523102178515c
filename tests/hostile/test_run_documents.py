"""A run of somebody else: every entry of run.json and its tables may be anything; one line each."""

import json
import shutil
import time
from pathlib import Path

import pytest

from emo import __version__
from emo.errors import FitError
from emo.heads.runs.clips_file import read_clip_ids
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.files import files_of_others, read_document
from emo.heads.runs.run import Run
from emo.heads.runs.test_ledger import LEDGER, record_scoring
from emo.heads.training.checkpoint import open_checkpoints
from emo.score.readers.run_folder import conversations_of, kept_seed, task_and_classes
from emo.store import Store
from tests.hostile.build import refused
from tests.hostile.documents import (
    DAMAGES,
    OTHER_TYPES,
    damage,
    is_line_or_fine,
    replaced,
    variants,
    write,
)

GOLDEN = Path(__file__).parents[1] / "golden_runs_v1"
DOCUMENT = json.loads((GOLDEN / "cross" / "run.json").read_text())
SHORT = DOCUMENT | {
    "options": {"first_seed": 0}, "splits": {}, "versions": {},
    "metrics": {
        "test": {
            name: DOCUMENT["metrics"]["test"][name]
            for name in ("clips", "seeds", "mean", "std", "interval")
        }
    },
}  # fmt: skip
READERS = (
    Run.load,
    lambda run: compare_runs([run]).table(),
    files_of_others,
    kept_seed,
    lambda run: task_and_classes(run, None),
    lambda run: conversations_of(run, split="test"),
)


@pytest.fixture
def golden(tmp_path):
    return Path(shutil.copytree(GOLDEN / "cross", tmp_path / "run"))


@pytest.mark.parametrize("name", [name for name in DAMAGES if name != "a terabyte"])
@pytest.mark.parametrize("file", ["run.json", "head.safetensors", "predictions.csv", "clips.csv"])
def test_damaged_files_of_a_run(golden, file, name):
    damage(golden / file, name)
    reader = {
        "run.json": Run.load, "head.safetensors": Run.load,
        "predictions.csv": lambda run: compare_runs([run]).table(), "clips.csv": read_clip_ids,
    }[file]  # fmt: skip
    if name == "cut in half" and file.endswith(".csv"):  # it may end at the end of a line
        is_line_or_fine(lambda: reader(golden), str(golden))
        return
    refused(lambda: reader(golden), str(golden), "[Ff]it")


@pytest.mark.parametrize("file", ["run.json", "head.safetensors", "predictions.csv", "clips.csv"])
def test_files_of_a_terabyte_are_not_read(golden, file):
    damage(golden / file, "a terabyte")
    for reader in (Run.load, lambda run: compare_runs([run]).table(), read_clip_ids):
        is_line_or_fine(lambda reader=reader: reader(golden), str(golden))
    reader = {"clips.csv": read_clip_ids, "head.safetensors": Run.load}.get(
        file, lambda run: compare_runs([run]).table()
    )
    refused(lambda: reader(golden), "1,099,511,627,776 bytes")


@pytest.mark.parametrize("document", variants(SHORT))
def test_every_entry_of_run_json_may_be_wrong(golden, document):
    write(golden / "run.json", document)
    for reader in READERS:
        is_line_or_fine(lambda reader=reader: reader(golden), "run")


NEEDED = ("format_version", "target", "classes", "head", "streams", "recipes", "head\tname",
          "head\toptions", "streams\ttoy/a\tdim")  # fmt: skip


@pytest.mark.parametrize("kind", OTHER_TYPES)
@pytest.mark.parametrize("name", NEEDED)
def test_what_a_head_needs_is_checked(golden, name, kind):
    if type(OTHER_TYPES[kind]) is type(_value(name)):
        pytest.skip("that is its type")
    write(golden / "run.json", replaced(DOCUMENT, name, OTHER_TYPES[kind]))
    refused(lambda: Run.load(golden), "run", name.split("\t")[-1] if "version" not in name else "")


def _value(name):
    value = DOCUMENT
    for key in name.split("\t"):
        value = value[key]
    return value


@pytest.mark.parametrize("size", [10**7, 10**9, 10**30, -1, 0, 10**400])
@pytest.mark.parametrize(
    "name",
    ["streams\ttoy/a\tdim", "head\toptions\twidth", "head\toptions\tlayers", "head\toptions\theads",
     "head\toptions\tlongest"],
)  # fmt: skip
def test_sizes_of_run_json_are_not_allocated(golden, name, size):
    write(golden / "run.json", replaced(DOCUMENT, name, size))
    started = time.monotonic()
    tokens = Store(GOLDEN / "features").recipes["toy"]
    streams = {f"toy/{name}": tokens.read(name, ["c0", "c1"]) for name in "ab"}
    refused(lambda: Run.load(golden).predict(streams), "run.json|run: ")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("aligned_attention", {"hidden": 99_999, "attention": 99_999}),
        ("bilstm", {"hidden": 99_999}), ("cross_modal", {"width": 99_996, "heads": 2}),
        ("cross_modal", {"width": 8, "heads": 2, "layers": 99_999}),
        ("attention_pool", {"hidden": 99_999, "heads": 3}),
        ("spectrogram_cnn", {"hidden": 99_999}), ("mlstm_fcn", {"hidden": 99_999}),
    ],
)  # fmt: skip
def test_sizes_below_the_bound_are_held_against_the_weights(golden, name, options):
    write(golden / "run.json", replaced(DOCUMENT, "head", {"name": name, "options": options}))
    started = time.monotonic()
    refused(lambda: Run.load(golden), "run.json")
    assert time.monotonic() - started < 10


def test_more_classes_than_weights(golden):
    classes = [f"c{k}" for k in range(500_000)]
    document = replaced(DOCUMENT, "classes", classes)
    document["targets"][0]["classes"] = classes
    write(golden / "run.json", document)
    refused(lambda: Run.load(golden), "run")


@pytest.mark.parametrize("name", [name for name in DAMAGES if name != "empty"])
def test_a_damaged_ledger_is_no_traceback(tmp_path, name):
    ledger = tmp_path / LEDGER
    record_scoring(tmp_path / "a", ["c0"], ["label"], "q")
    damage(ledger, name)
    is_line_or_fine(lambda: record_scoring(tmp_path / "b", ["c0"], ["label"], "p"), LEDGER)


@pytest.mark.parametrize("line", [
    {"clips": ["x"], "ids": ["c0"]}, {"clips": "x", "ids": [["c0"]]}, {"clips": "x", "ids": 3},
    {"clips": "x", "ids": ["c0"], "asked": {}}, {"clips": [], "targets": [], "asked": 1, "run": 1},
])  # fmt: skip
def test_lines_of_a_ledger_of_other_types_are_skipped(tmp_path, line):
    (tmp_path / LEDGER).write_text(json.dumps(line) + "\n")
    assert record_scoring(tmp_path / "b", ["c0"], ["label"], "p").settings == 0


def interrupted(tmp_path):
    """A golden interrupted fit, as if this version had begun it, and its question."""
    folder = Path(shutil.copytree(GOLDEN / "interrupted", tmp_path / "fit"))
    question = json.loads((folder / "question.json").read_text())
    (folder / "question.json").write_text(json.dumps({**question, "emo": __version__}))
    return folder, question


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("file", ["question.json", "finished-0.safetensors"])
def test_damaged_checkpoints(tmp_path, file, name):
    folder, question = interrupted(tmp_path)
    damage(folder / file, name)

    def resumed():
        open_checkpoints(folder, question, resume=True).read_finished(0)

    refused(resumed, str(folder / file) if name != "an empty object" else "resume|damaged")


def test_right_checkpoints_are_read(tmp_path):
    folder, question = interrupted(tmp_path)
    found = open_checkpoints(folder, question, resume=True)
    assert found.read_finished(0) is not None
    assert found.read_running(1) is not None


def test_commands_print_one_line(emo, golden):
    damage(golden / "run.json", "deep")
    for words in (["compare", golden], ["score", golden, "--gold", "m.csv"],
                  ["predict", golden, "--text", "x"]):  # fmt: skip
        code, _, err = emo(*words)
        assert code in (1, 2), words
        assert "nested too deeply" in err, err
        assert len(err.strip().splitlines()) == 1


def test_a_run_without_tables_is_still_a_document(golden):
    (golden / "predictions.csv").unlink()
    assert read_document(golden)["target"] == "label"
    with pytest.raises(FitError, match="no such file"):
        compare_runs([golden]).table()
