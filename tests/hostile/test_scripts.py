"""Paths in the scripts of a job are words of the shell, never lines of it."""

import shlex
import subprocess

import pytest

from emo.extract.executors.slurm import sbatch_quoted
from emo.extract.job.folder import open_job

LETTERS = "tests.make_backbone:Letters"


@pytest.fixture
def plan(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,x\nb,y\n")

    def run(out):
        words = ("extract", "m.csv", "--backbone", LETTERS, "--out", out, "--executor", "slurm")
        return emo(*words, "--retries", 1, "--dry-run")

    return run


@pytest.mark.parametrize("name", ["a\ntouch owned\n", "a\rb", "a\x1b[2K", "a\udcffb", "a\u2028b"])
def test_control_characters_are_refused(plan, tmp_path, name):
    code, _, err = plan(tmp_path / name)
    assert code == 1
    assert ("is not UTF-8" if "\udcff" in name else "cannot stand in the script") in err
    assert not list(tmp_path.rglob("slurm*.sh"))


@pytest.mark.parametrize(
    "name", ["a b", "a;b", "$(touch owned)", "`x`", "it's", 'a"b', "a#b", "a&b"]
)
def test_what_a_shell_would_obey_is_quoted(plan, tmp_path, name):
    code, _, err = plan(tmp_path / name)
    assert code == 0, err
    folder = open_job(tmp_path / name)
    for script in ("slurm.sh", "slurm-retry.sh"):
        lines = (folder.path / script).read_text().splitlines()
        (command,) = [line for line in lines if line.startswith("exec ")]
        words = shlex.split(command.replace("$first-$last", "0-0"))
        assert str(folder.path) in words
        assert subprocess.run(["bash", "-n", folder.path / script], check=False).returncode == 0
        code = [line for line in lines if not line.startswith("#")]
        bare = "\n".join(code).replace(shlex.quote(str(folder.path)), "")
        assert name not in bare


@pytest.mark.parametrize("name", ["100%j", "a b", 'a"b', "a\\b", "a'b", "a#b", "plain"])
def test_directives_hold_the_path_and_no_pattern_of_it(tmp_path, name):
    """sbatch reads these lines as words, with backslashes and both kinds of quotes."""
    path = tmp_path / name
    assert shlex.split(sbatch_quoted(path)) == [str(path)]
    (found,) = shlex.split(sbatch_quoted(path, is_pattern=True))
    assert found.replace("%%", "%") == str(path)
    assert "%j" not in found.replace("%%", "")
