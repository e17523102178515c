"""The manifests of runs: who speaks, what is said, where the media are."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo.errors import EmoError, MediaError, OptionError
from emo.heads.data.interval_groups import value_of
from emo.manifest import Clip, Manifest, read_manifest
from emo.manifest.tables.spreadsheet import table_file, table_sha256
from emo.report.names import without_folders
from emo.report.options import ReportOptions


class Manifests:
    """Reads the manifest of each run once, and keeps notes on those that cannot be used."""

    def __init__(self, options: ReportOptions) -> None:
        """Begin without having read any.

        Args:
            options: which manifest and folder of media the user named.

        Raises:
            OptionError: the folder of media is not there.
        """
        if options.root is not None and not options.root.is_dir():
            raise OptionError(f"--root {options.root}: no such folder")
        self._options = options
        self._known: dict[tuple[str, str], Manifest | None] = {}
        self._clips: dict[int, dict[str, Clip]] = {}
        self.notes: list[str] = []

    def of(self, document: Mapping[str, Any]) -> Manifest | None:
        """Return the manifest of a run, by its ``run.json``; None: not there, or changed."""
        own = document.get("manifest", {})
        key = str(own.get("path", "")), str(own.get("sha256", ""))
        if self._options.manifest is not None:
            key = (str(self._options.manifest), "")
        if key not in self._known:
            self._known[key] = self._read(*key, own)
        return self._known[key]

    def clips(self, document: Mapping[str, Any]) -> dict[str, Clip]:
        """Return the clips of a run's manifest by id; empty: there is none."""
        manifest = self.of(document)
        if manifest is None:
            return {}
        if id(manifest) not in self._clips:
            self._clips[id(manifest)] = {clip.id: clip for clip in manifest.clips}
        return self._clips[id(manifest)]

    def value(self, document: Mapping[str, Any], clip_id: str, column: str) -> str:
        """Return a clip's value of a column; empty: not known."""
        clip = self.clips(document).get(clip_id)
        return "" if clip is None else value_of(clip, column)

    def note(self, text: str) -> None:
        """Keep a note for the reader of the page, once."""
        if text not in self.notes:
            self.notes.append(text)

    def _own_root(self, path: str, own: Mapping[str, Any]) -> Path | None:
        """Return the folder of media that ``run.json`` names, if it is below the manifest's folder.

        A run of somebody else could name any folder, and with ``--media`` the page would hold files
        from there. Other folders are named by the user, with ``--root``.
        """
        root = Path(str(own["root"])) if own.get("root") else None
        if root is None or not path:
            return None
        folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
        if not Path(os.path.realpath(root)).is_relative_to(folder):
            if self._options.media:
                self.note("The media of a run are not below the folder of its manifest; to show "
                          "them, name their folder with --root")  # fmt: skip
            return None
        return root if root.is_dir() else None

    def _read(self, path: str, sha256: str, own: Mapping[str, Any]) -> Manifest | None:
        """Read a manifest, and note why if it cannot be used."""
        named = self._options.manifest
        columns = dict(own.get("columns", {})) if named is None else {}
        columns |= self._options.columns
        root = self._options.root or self._own_root(path, own)
        hint = "no groups by column, speakers and media; name it with --manifest"
        try:
            if not path:
                return None
            file = table_file(Path(path))
            if named is None and table_sha256(Path(path), file.read_bytes()) != sha256:
                self.notes.append(f"{file.name} has changed since the run was fitted: {hint}")
                return None
            return read_manifest(Path(path), columns=columns, root=root)
        except (EmoError, OSError) as error:
            if named is not None:
                raise
            why = getattr(error, "strerror", None) or str(error)
            self.notes.append(without_folders(f"{Path(path).name} cannot be read ({why}): {hint}"))
            return None


def media_inside(manifest: Manifest, relative: str) -> Path:
    """Return the path of a clip's file, links followed.

    Raises:
        EmoError: it is outside of the folder of the media.
    """
    path = os.path.realpath(manifest.media_path(relative))
    if not Path(path).is_relative_to(os.path.realpath(manifest.root)):
        raise MediaError(
            f"{Path(relative).name}: a link that leads out of the folder of the media; name with "
            "--root a folder that holds both"
        )
    return Path(path)
