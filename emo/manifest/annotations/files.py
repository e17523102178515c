"""List the files of annotations and the format of each."""

from collections.abc import Sequence
from pathlib import Path

from emo import plugins
from emo.errors import ManifestError, PluginError
from emo.manifest.annotations.format import AnnotationFormat
from emo.manifest.folder import walk_folders

FormatClass = type[AnnotationFormat]


def load_format(name: str) -> FormatClass:
    """Return a format by its name, or ``module:Class`` of one elsewhere.

    Raises:
        PluginError: there is none of that name, or its file cannot be used.
    """
    known = plugins.available(plugins.ANNOTATIONS)
    if ":" not in name and name not in known:
        raise PluginError(plugins.unknown("format of annotations", name, known))
    return plugins.load(plugins.ANNOTATIONS, name, AnnotationFormat)  # type: ignore[type-abstract]


def annotation_files(
    sources: Sequence[Path], name: str | None
) -> list[tuple[Path, Path, FormatClass]]:
    """Return each file, the folder that its media must be in, and its format.

    Args:
        sources: files, and folders that are searched with their sub-folders.
        name: format of all files; None: their extensions tell it.

    Raises:
        ManifestError: there is no such file, no format has its extension, or a folder has none.
    """
    formats = [load_format(each) for each in plugins.available(plugins.ANNOTATIONS)]
    given = load_format(name) if name else None
    found: list[tuple[Path, Path, FormatClass]] = []
    for source in sources:
        if source.is_dir():
            kinds = [given] if given else [each for each in formats if each.is_told_by_extension]
            below = [
                (path, source, kind)
                for folder, names in walk_folders(source)
                for path in (Path(folder, each) for each in names if not each.startswith("."))
                if (kind := _of_extension(path, kinds)) is not None
            ]
            if not below:
                known = " ".join(end for kind in kinds for end in kind.extensions)
                raise ManifestError(
                    f"{source}: no file of annotations; looked for {known}. Files of other "
                    "extensions need --format"
                )
            found += sorted(below, key=lambda each: each[0])
            continue
        kind = given or _of_extension(source, formats)
        if kind is None:
            known = " ".join(end for each in formats for end in each.extensions)
            raise ManifestError(f"{source}: expected one of {known}; else say --format NAME")
        found.append((source, source.parent, kind))
    return found


def _of_extension(path: Path, formats: Sequence[FormatClass]) -> FormatClass | None:
    """Return the first format that has the file's extension."""
    kind = path.suffix.lower()
    return next((each for each in formats if kind in each.extensions), None)
