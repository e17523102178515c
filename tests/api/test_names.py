"""The public names: cheap to import, hidden by no package, named as the commands' options."""

import dataclasses
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest
import typer

import emo
from emo.cli import app

OWN_NAMES = {
    # option of the command -> why Python has another name or none
    "manifest": "clips", "backbone": "backbones", "option": "emo.backbone(…)", "name": "name=",
    "most_minutes": "emo.fit_all", "column": "columns", "dtype": "emo.backbone(…)",
    "faces": "emo.backbone(…)",
    "dry_run": "a store tells", "sample": "of --dry-run", "price_hour": "of --dry-run",
    "stream": "streams", "target": "targets", "task": "tasks",
    "cv": "emo.cross_validate", "is_ablation": "no", "target_weight": "target_weights",
    "json": "frames", "html": "no", "csv": "to_csv", "latex": "to_latex", "markdown": "to_markdown",
    "by": "by_columns: cross_validate(by=) says how folds are cut",
    "ntasks": "a Slurm job is of the command",
    "allow_code": "emo.load_run(head=…)", "report_to": "emo log", "gold": "gold", "context": "",
}  # fmt: skip
EXTRAS = ("emo.extract.executors.ray", "emo.report.trackers.library.")
"""Modules whose libraries are extras that are often not installed."""


def test_each_name_can_be_called_twice_after_all_modules_were_imported():
    first = {name: getattr(emo, name) for name in dir(emo)}
    for module in pkgutil.walk_packages(emo.__path__, "emo."):
        if not module.name.startswith(EXTRAS) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    packages = {module.name for module in pkgutil.iter_modules(emo.__path__)}
    assert not packages & set(first)
    for name, value in first.items():
        assert getattr(emo, name) is value


def test_importing_emo_loads_no_library():
    code = "import emo, sys; print(sorted({m.split('.')[0] for m in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pandas", "zarr", "typer"} & set(eval(found.stdout))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'extrct'"):
        emo.extrct  # noqa: B018
    assert set(emo.__all__) <= set(dir(emo))


@pytest.mark.parametrize(
    ("function", "command"),
    [
        (emo.extract_features, "extract"), (emo.fit, "fit-head"), (emo.compare, "compare"),
        (emo.score_predictions, "score"), (emo.rerun, "rerun"),
        (emo.adapt_backbones, "adapt"),
    ],
)  # fmt: skip
def test_keywords_are_the_options_of_the_command(function, command):
    group = typer.main.get_command(app)
    options = {each.name for each in group.commands[command].params if not each.hidden}
    ours = set(inspect.signature(function).parameters)
    if "options" in ours:
        from emo.adapt.options import FIT_FIELDS, AdaptOptions
        from emo.api.fitting import _OPTIONS

        own = {field.name for field in dataclasses.fields(AdaptOptions)} | set(FIT_FIELDS)
        ours |= own if command == "adapt" else _OPTIONS
    from emo.commands.flags.executor_options import executor_flags

    executor = set(executor_flags()) if command in ("extract", "adapt") else set()
    if command == "adapt":
        executor |= {"executor"}
    lacking = {name for name in options if name not in ours and name not in OWN_NAMES} - executor
    assert not lacking
