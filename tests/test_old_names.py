"""Old flags and names that only forward: where they stand, who lists them, and when they go."""

import dataclasses
from pathlib import Path

import emo
from emo import plugins
from emo.commands.flags.old_flags import REMOVED_IN
from emo.heads.head import Head

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
OLD_FLAGS = ROOT / "emo" / "commands" / "flags" / "old_flags.py"


def numbers(version):
    return tuple(map(int, version.split(".")))


def test_old_flags_are_in_one_file_until_the_version_that_removes_them():
    assert numbers(emo.__version__)[:2] < numbers(REMOVED_IN), "remove old_flags.py, as it says"
    hidden = [file for file in ROOT.glob("emo/**/*.py") if "hidden=True" in file.read_text("utf-8")]
    assert hidden == [OLD_FLAGS]
    for flag in ("--status", "--watch", "--resume", "--plan", "--part"):
        assert f'"{flag}"' in OLD_FLAGS.read_text("utf-8")
    rows = [line for line in PAGE.splitlines() if line.startswith("| `emo extract --")]
    assert len(rows) == 4
    assert all(row.endswith(f"| {REMOVED_IN} |") for row in rows)


def test_the_page_lists_renamed_options_and_weights_of_heads():
    found = {}
    for name in (file.stem for file in ROOT.glob("emo/heads/library/[!_]*.py")):
        kind = plugins.load(plugins.HEADS, name, Head)
        fields = {each.metadata["was"]: each.name for each in dataclasses.fields(kind.Options)
                  if "was" in each.metadata}  # fmt: skip
        found |= {(name, old): new for old, new in (fields | dict(kind.renamed_weights)).items()}
    assert found
    for (name, old), new in found.items():
        rows = [row for row in PAGE.splitlines() if f"`{name}`" in row]
        assert any(old in row and new in row for row in rows), (name, old, new)
