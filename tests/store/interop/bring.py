"""Import a file into a scratch store, for the tests of formats."""

from pathlib import Path

from emo.store import Store
from emo.store.exchange.transfer import export_file, import_file

FILES = Path(__file__).parent / "files"
"""Small files that other tools wrote; make_files.py in it has the commands."""


def bring(tmp_path, name, file, *options, **wanted):
    """Import a file; return the recipe's folder and the report."""
    store = tmp_path / "brought"
    wanted = {"recipe": "back", **wanted}
    report = import_file(name, Path(file), store, options=options, **wanted)
    return Store(store).recipes[wanted["recipe"]], report


def send(tmp_path, form, *options, name="out", **wanted):
    """Export the store in ``tmp_path / "store"``; return the file."""
    out = tmp_path / name
    export_file(form, tmp_path / "store", out, options=options, **wanted)
    return out
