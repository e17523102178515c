"""Manifests of media files and folders that are named without a table."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emo.errors import MediaError
from emo.machine.untrusted.addresses import is_url
from emo.manifest import Clip, Manifest, parse_rows
from emo.manifest.folder import folder_rows
from emo.manifest.tables.text_table import TextTable


def manifest_of_folder(folder: Path) -> Manifest:
    """Return a manifest of all media below a folder, whose ids are their paths.

    Raises:
        ManifestError: there is no such folder, or no media in it.
    """
    rows = folder_rows(folder)
    table = {"id": list(rows.origins)} | {
        name: cells for name, cells in rows.columns.items() if name in ("video", "audio")
    }
    return parse_rows(TextTable(table, rows.origins), folder / "media", root=folder)[0]


def manifest_of_files(paths: Sequence[Path], what: str = "CLIP") -> Manifest:
    """Return a manifest of media files and of all media in folders, whose ids are their paths.

    Args:
        paths: files or folders, at least one; a file that is given twice counts once.
        what: the option that names them, for an error.

    Raises:
        MediaError: a file does not exist.
        ManifestError: a folder holds no media.
    """
    clips: dict[str, Clip] = {}
    for path in paths:
        if path.is_dir():
            folder = manifest_of_folder(path)
            found = [replace(clip, id=str(path / clip.id)) for clip in folder.clips]
        elif path.is_file():
            folder = Manifest(path=path, root=path.absolute().parent, clips=(), sha256="")
            found = [Clip(str(path), video=path.name)]
        else:
            raise MediaError(f"{what} {path}: no such file")
        for clip in found:
            clips.setdefault(clip.id, moved(clip, folder, Path(folder.root.absolute().anchor)))
    anchor = Path(Path.cwd().anchor)
    whole = Manifest(path=anchor, root=anchor, clips=tuple(clips.values()), sha256="")
    files = [
        whole.media_path(file).parent
        for clip in whole.clips
        for file in (clip.video, clip.audio)
        if file
    ]
    root = Path(os.path.commonpath(files))
    return replace(
        whole, path=root, root=root, clips=tuple(moved(clip, whole, root) for clip in whole.clips)
    )


def moved(clip: Clip, manifest: Manifest, root: Path) -> Clip:
    """Return a clip of a manifest with its paths relative to another root."""
    video, audio = (
        (path if is_url(path) else os.path.relpath(manifest.media_path(path), root))
        if path
        else None
        for path in (clip.video, clip.audio)
    )
    return replace(clip, video=video, audio=audio)
