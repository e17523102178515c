"""A run, a store or a job that somebody hands over runs no code of its own without consent."""

import json
from pathlib import Path

import pytest

from emo import plugins
from emo.errors import PluginError
from emo.extract.job.folder import open_job
from emo.extract.job.ownership import SIGNATURE, is_own
from emo.heads.runs.run import Run

LETTERS = "tests.make_backbone:Letters"
EVIL = "import pathlib; pathlib.Path({mark!r}).write_text('ran')\nclass Evil: pass\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own, and code that leaves a mark when it is imported."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    mark = tmp_path / "mark"
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "evil_plugin.py").write_text(EVIL.format(mark=str(mark)))
    monkeypatch.syspath_prepend(tmp_path / "path")
    plugins.forget_trust()
    yield mark
    plugins.forget_trust()


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.fixture
def plan(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,x\nb,y\n")

    def run(*words, backbone=LETTERS):
        code, _, err = emo(
            "extract", "m.csv", "--backbone", backbone, "--out", "f", "--executor", "slurm",
            "--dry-run", *words,
        )  # fmt: skip
        assert code == 0, err
        return open_job(tmp_path / "f").path

    return run


def test_installed_plugins_may_be_named_by_any_document():
    plugins.expect_trust("mean_pool", "run.json")
    with pytest.raises(PluginError, match=r"run\.json names code of its own: a:B\..*--allow-code"):
        plugins.expect_trust("a:B", "run.json")
    plugins.trust("a:B")
    plugins.expect_trust("a:B", "run.json")
    with pytest.raises(PluginError):
        plugins.expect_trust("a:C", "run.json")
    plugins.trust(plugins.ANY_CODE)
    plugins.expect_trust("a:C", "run.json")


def test_a_run_names_no_code(emo, run, home):
    edit(run / "run.json", lambda document: document["head"].update(name="evil_plugin:Evil"))
    code, _, err = emo("predict", run, "--manifest", "m.csv", "--features", "s")
    assert (code, home.exists()) == (1, False)
    assert f"{run / 'run.json'} names code of its own: evil_plugin:Evil" in err
    assert emo("predict", run, "--manifest", "m.csv", "--features", "s", "--allow-code")[0] == 1
    assert home.exists()  # the attack is real: with consent it runs


def test_a_recipe_of_a_run_names_no_code(emo, run, home):
    def change(document):
        for recipe in document["recipes"].values():
            recipe["backbone"] = "evil_plugin:Evil"

    edit(run / "run.json", change)
    code, _, err = emo("predict", run, "--text", "hello")
    assert (code, home.exists()) == (1, False)
    assert "names code of its own: evil_plugin:Evil" in err


@pytest.mark.parametrize("command", ["resume", "run"])
def test_a_job_names_no_backbone(emo, plan, home, command):
    job = plan()
    assert is_own(job)
    edit(job / "job.json", lambda job: job["backbones"][0].update(plugin="evil_plugin:Evil"))
    assert not is_own(job)
    code, _, err = emo("job", command, job, *(["--dry-run"] if command == "resume" else []))
    assert (code, home.exists()) == (1, False)
    assert f"{job / 'job.json'} names code of its own: evil_plugin:Evil" in err


def test_a_job_names_no_executor(emo, plan, home):
    job = plan(backbone="classic")
    edit(job / "job.json", lambda job: job.update(executor="evil_plugin:Evil"))
    code, _, err = emo("job", "resume", job, "--dry-run")
    assert (code, home.exists()) == (1, False)
    assert "names code of its own: evil_plugin:Evil" in err


@pytest.mark.parametrize("option", ["env_setup", "sbatch_arg"])
def test_lines_of_anothers_job_are_shown_and_not_submitted(emo, plan, option):
    job = plan(backbone="classic")
    edit(job / "job.json", lambda job: job["resources"].update({option: ["--wrap=rm -rf x"]}))
    script = (job / "slurm.sh").read_text()
    code, _, err = emo("job", "resume", job, "--dry-run")
    assert code == 1
    assert f"{option}=--wrap=rm -rf x" in err
    assert (job / "slurm.sh").read_text() == script
    flag = f"--{option.replace('_', '-')}"
    assert emo("job", "resume", job, "--dry-run", flag, "--mem=1G")[0] == 0  # one's own instead
    edit(job / "job.json", lambda job: job["resources"].update({option: ["--wrap=rm -rf x"]}))
    assert emo("job", "resume", job, "--dry-run", "--allow-code")[0] == 0
    assert is_own(job)  # it was written again, now by this user


def test_ones_own_job_needs_no_flag(emo, plan):
    job = plan("--env-setup", "true", "--sbatch-arg=--mem=1G")
    assert emo("job", "resume", job, "--dry-run")[0] == 0
    assert emo("job", "run", job)[0] == 0


def test_a_strangers_signature_does_not_count(emo, plan, tmp_path, monkeypatch):
    job = plan()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    assert not is_own(job)
    assert "names code of its own" in emo("job", "run", job)[2]
    for content in ("", "é", "0" * 64):
        (job / SIGNATURE).write_text(content)
        assert not is_own(job)
    assert emo("job", "run", job, "--allow-code")[0] == 0


def test_only_scripts_of_jobs_with_code_pass_the_consent_on(plan):
    told = {name: (plan(backbone=name) / "slurm.sh").read_text() for name in (LETTERS, "classic")}
    assert "--allow-code" in told[LETTERS]
    assert "--allow-code" not in told["classic"]


def test_every_document_that_names_a_plugin_is_given_to_load():
    """Where these names come from a file, ``plugins.load`` must know which file it is."""
    from emo.extract.job import repeat_recipes, request
    from emo.heads.runs import run as run_file

    for module, calls in ((request, 1), (repeat_recipes, 1), (run_file, 1)):
        assert Path(module.__file__).read_text().count("document=") >= calls
    with pytest.raises(TypeError, match="document"):
        repeat_recipes.requests_of_recipes({})
    assert "PluginError" in Run.load.__doc__
