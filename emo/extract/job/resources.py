"""What a job may ask of the machines it runs on; each executor heeds some of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from emo.errors import OptionError


@dataclass(frozen=True)
class Resources:
    """Options of the executors; None (or empty): the executor's own default."""

    retries: int | None = None
    """Times that a part whose worker died is given out again."""
    cpus_per_task: int | None = None
    gpus_per_task: float | None = None
    """Of a Slurm task or a Ray worker; Ray takes a fraction too."""
    parts_per_task: int | None = None
    """Parts that one Slurm task does one after another with the model loaded once."""
    max_parallel: int | None = None
    """Slurm tasks that run at the same time."""
    max_array_size: int | None = None
    """Slurm's MaxArraySize; a larger job becomes several arrays."""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    """Limit of a task, as Slurm writes it: ``4:00:00``."""
    constraint: str | None = None
    sbatch_arg: tuple[str, ...] = ()
    """Further ``#SBATCH`` lines, such as ``--mem=32G``."""
    env_setup: tuple[str, ...] = ()
    """Shell lines that run before the worker, such as ``module load cuda``."""
    address: str | None = None
    """Of the Ray cluster: ``auto``, ``host:port``; None: one is started here."""

    def __post_init__(self) -> None:
        for name in ("retries", "gpus_per_task"):
            self._at_least(name, 0)
        for name in ("cpus_per_task", "parts_per_task", "max_parallel", "max_array_size"):
            self._at_least(name, 1)
        for name in ("partition", "account", "qos", "time", "constraint", "address"):
            value = getattr(self, name)
            if value is not None and (not value or any(letter.isspace() for letter in value)):
                raise OptionError(f"{flag(name)} {value!r}: expected a word without spaces")
        for line in self.sbatch_arg:
            if not line.startswith("-") or "\n" in line:
                raise OptionError(f"--sbatch-arg {line!r}: expected an option such as --mem=32G")

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is not None and value < least:
            raise OptionError(f"{flag(name)}: expected {least} or more, got {value:g}")

    @property
    def given(self) -> dict[str, Any]:
        """What is not left to the executor, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}

    def changed(self, given: Mapping[str, Any]) -> "Resources":
        """These, with what ``given`` says instead."""
        known = {field.name for field in fields(self)}
        if unknown := sorted(set(given) - known):
            raise OptionError(f"resources: unknown {', '.join(unknown)}; made by another version?")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
        }
        return replace(self, **values)

    def check(self, executor: str, uses: frozenset[str]) -> None:
        """Refuse what ``executor`` would not heed.

        Raises:
            OptionError: names the option.
        """
        for name in self.given:
            if name not in uses:
                heeded = ", ".join(map(flag, sorted(uses)))
                raise OptionError(
                    f"{flag(name)}: the executor {executor} has no such option; it has {heeded}"
                )


NOTHING_ASKED = Resources()
"""Every executor's own defaults."""


def flag(name: str) -> str:
    """``max_parallel`` -> ``--max-parallel``."""
    return "--" + name.replace("_", "-")
