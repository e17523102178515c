"""The clips that every call starts from: a manifest, a DataFrame, or the path of a table."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import emo.manifest
from emo.api.frames import FRAME, text_table, with_index
from emo.errors import ManifestError, plural
from emo.manifest.clips import Clip, inspect_manifest, parse_rows
from emo.manifest.tables.text_table import TextTable, rename
from emo.manifest.write import render_rows

if TYPE_CHECKING:
    import pandas as pd

    from emo.datasets.check.report import CheckReport

_COLUMNS = tuple(field.name for field in fields(Clip) if field.name not in ("id", "targets"))


class Manifest(emo.manifest.Manifest):
    """A table of clips: where their media lie, what is said, who speaks, their labels.

    Example::

        m = emo.read_manifest("m.csv")
        m = emo.Manifest.from_frame(df, root="/data/clips", columns={"label": "Emotion"})
        m.frame          # one row a clip, index = id
        m.check().frame  # what would make training wrong
    """

    @classmethod
    def from_frame(
        cls,
        frame: "pd.DataFrame",
        *,
        root: str | Path = ".",
        columns: Mapping[str, str] = MappingProxyType({}),
    ) -> "Manifest":
        """Read the clips of a DataFrame; index levels with a name become columns.

        Without a column ``id``, the labels of an unnamed index are the ids if they are different
        texts.

        Args:
            frame: a row for each clip; missing values are empty cells.
            root: folder that the paths in ``video`` and ``audio`` are relative to.
            columns: columns under other names: emo's name -> the frame's, such as
                ``{"label": "Emotion"}``.

        Raises:
            ManifestError: no column of media or text, or a row that cannot be used.
        """
        table = text_table(with_index(frame, columns))
        made = cls._parsed(rename(table, columns, FRAME), Path(root))
        return cls.of(replace(made, columns=dict(columns)))

    @classmethod
    def _parsed(cls, table: TextTable, root: Path) -> "Manifest":
        """Check the rows of a table that is no file."""
        digest = hashlib.sha256(render_rows(".csv", table.columns)).hexdigest()
        made, problems = parse_rows(replace(table, sha256=digest), FRAME, root=root)
        if problems:
            raise ManifestError(f"{FRAME}: {problems[0].message}")
        return cls.of(made)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        out: str | Path,
        pattern: str | None = None,
        transcripts: str | Path | None = None,
        on: str | None = None,
    ) -> "Manifest":
        """Write a manifest of the media files below a folder, as `emo manifest folder` does.

        Warnings say what was taken from names, and what was left out or not joined.

        Args:
            folder: the folder.
            out: the manifest to write, CSV, TSV, JSONL or Parquet by its extension.
            pattern: what the parts of a path mean, such as ``{split}/{label}/{speaker}_{take}``;
                None: split, label and speaker are found in the names.
            transcripts: a table of texts or labels, one row a file; None: none.
            on: the table's column that names the files; None: the one whose cells name most.

        Raises:
            ManifestError: no media, names that can be read in several ways, or ``out`` exists
                with another content.
        """
        from emo.manifest.make import save_folder
        from emo.manifest.naming.facts import NOT_TAKEN
        from emo.manifest.naming.named_folder import named_folder
        from emo.manifest.naming.transcripts import columns_told, join_transcripts

        if on is not None and transcripts is None:
            raise ManifestError("on= names a column of transcripts=, which is not given")
        told = [] if transcripts is None else columns_told(Path(transcripts))
        named = named_folder(Path(folder), pattern, told=told)
        taken = [
            f"{fact['column']}: {fact['from']}" for fact in named.facts
            if pattern is None and fact["column"] != NOT_TAKEN
        ]  # fmt: skip
        notes = [f"taken from names: {'; '.join(taken)}"] if taken else []
        notes += named.notes
        if named.unfit:
            count = plural(len(named.unfit), "file")
            notes.append(f"left out, the pattern does not fit: {count}, first {named.unfit[0]}")
        if transcripts is not None:
            rows, joined = join_transcripts(named.rows, Path(transcripts), Path(folder), on=on)
            named, notes = replace(named, rows=rows), [*notes, *joined[on is not None :]]
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return cls.of(save_folder(named, Path(folder), out=Path(out)))

    def join(
        self,
        table: "pd.DataFrame | str | Path",
        *,
        on: str | None = None,
        columns: Mapping[str, str] = MappingProxyType({}),
    ) -> "Manifest":
        """Return the clips with the columns of a table that names their files.

        Warnings count clips without a row and rows without a clip, and name a column that was
        found.

        Args:
            table: transcripts, labels or whatever else, one row a file: a DataFrame or a path.
            on: the table's column that names the files; None: the one whose cells name most.
            columns: columns under other names: emo's name -> the table's, ``{"text": "Said"}``.

        Raises:
            ManifestError: no column names files, two rows name one file, or a cell contradicts a
                label or split that the clips have.
        """
        from emo.manifest.naming.transcripts import join_table
        from emo.manifest.rows import read_rows

        where = Path(table) if isinstance(table, str | Path) else FRAME
        read = read_rows(where) if isinstance(table, str | Path) else text_table(table)
        frame = self.frame.reset_index()
        origins = [clip.video or clip.audio or clip.id for clip in self.clips]
        rows = TextTable(text_table(frame).columns, origins)
        joined, notes = join_table(rows, rename(read, columns, where), where, on=on)
        for note in notes[on is not None :]:  # the first says which column names the files
            warnings.warn(note, stacklevel=2)
        return Manifest._parsed(joined, self.root)

    @classmethod
    def of(cls, manifest: emo.manifest.Manifest) -> "Manifest":
        """Return a manifest with the methods of this class."""
        return cls(**{field.name: getattr(manifest, field.name) for field in fields(manifest)})

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a clip, index ``id``: the columns that any clip has, then the labels."""
        import pandas as pd

        rows = [
            {name: getattr(clip, name) for name in _COLUMNS} | clip.targets for clip in self.clips
        ]
        index = pd.Index([clip.id for clip in self.clips], name="id")
        frame = pd.DataFrame(rows, index=index)
        unused = [name for name in _COLUMNS if frame[name].isna().all()]
        if (frame["audio_channel"] == "mix").all():
            unused.append("audio_channel")
        return frame.drop(columns=unused)

    @property
    def ids(self) -> list[str]:
        """Ids of the clips, in the order of the rows."""
        return [clip.id for clip in self.clips]

    def save(self, path: str | Path) -> "Manifest":
        """Write the manifest as CSV, TSV, JSONL or Parquet by its extension, and read it back.

        Paths of media are written relative to the file's folder. Where a file is not below it,
        they stay relative to this manifest's ``root``, which a warning names.

        Raises:
            ManifestError: the file exists with another content, or cannot be written.
        """
        from emo.manifest.make import absolute_paths, save

        rows = absolute_paths(text_table(self.frame.reset_index()), self.root)
        made = Manifest.of(save(rows, Path(path), base=self.root))
        has_media = any(clip.video or clip.audio for clip in self.clips)
        if has_media and made.root.resolve() != Path(path).absolute().parent.resolve():
            warnings.warn(
                f"{path}: its media are not below its folder; read it with root={str(made.root)!r} "
                f"(command: --root {made.root})",
                stacklevel=2,
            )
        return made

    def check(self, **options: Any) -> "CheckReport":
        """Look for everything that would make training wrong, as `emo check` does.

        Args:
            options: ``fast``, ``workers``, ``target`` and ``task`` of
                :func:`emo.datasets.check.report.check_manifest`.

        Returns:
            A report: shown as a table, and as a DataFrame in ``frame``.
        """
        from emo.datasets.check.report import check_manifest

        problems = []
        if self.path.is_file():
            problems = inspect_manifest(self.path, columns=self.columns, root=self.root)[1]
        return check_manifest(self, problems, **options)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def __repr__(self) -> str:
        """Return the counts in one line, such as ``Manifest m.csv: 86 clips, 4 labels``."""
        return f"Manifest {self.path}: {self._counts()}"

    def _repr_html_(self) -> str:
        return (
            f"<b>Manifest</b> {escape(str(self.path))}: {escape(self._counts())}"
            + self.frame.head(5).to_html(max_cols=8)
        )

    def _counts(self) -> str:
        splits = Counter(clip.split for clip in self.clips if clip.split)
        names = dict.fromkeys(name for clip in self.clips for name in clip.targets)
        kinds = [len({clip.targets.get(n) for clip in self.clips} - {None}) for n in names]
        parts = [plural(len(self.clips), "clip")]
        parts += [f"{split} {splits[split]:,}" for split in ("train", "val", "test") if splits]
        parts += [f"{name}: {plural(n, 'value')}" for name, n in zip(names, kinds, strict=True)][:3]
        return " · ".join(parts)


Clips = emo.manifest.Manifest | str | Path
"""What is accepted where clips are meant; a DataFrame, too."""


def read_manifest(
    path: str | Path,
    *,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: str | Path | None = None,
) -> Manifest:
    """Read and check the clips of a CSV, TSV, JSONL or Parquet file; opens no media.

    Args:
        path: the file.
        columns: columns under other names: emo's name -> the file's, ``{"label": "Emotion"}``.
        root: folder of the media; None: the manifest's folder.

    Raises:
        ManifestError: the file, a column or a row cannot be used; the first such row is named.
    """
    if not isinstance(path, str | Path):
        raise ManifestError(
            f"read_manifest: expected the path of a table, got {type(path).__name__}; of a "
            "DataFrame, emo.Manifest.from_frame(df) reads the clips"
        )
    where = None if root is None else Path(root)
    return Manifest.of(emo.manifest.read_manifest(Path(path), columns=columns, root=where))


def clips_of(
    clips: "Clips | pd.DataFrame",
    columns: Mapping[str, str] = MappingProxyType({}),
    root: str | Path | None = None,
) -> Manifest:
    """Return the manifest that a manifest, a path or a DataFrame means.

    Raises:
        ManifestError: it holds no clips that can be used.
        TypeError: it is something else.
    """
    if isinstance(clips, emo.manifest.Manifest):
        return Manifest.of(clips)
    if isinstance(clips, str | Path):
        return read_manifest(clips, columns=columns, root=root)
    if hasattr(clips, "columns") and hasattr(clips, "index"):
        return Manifest.from_frame(clips, columns=columns, root=root or ".")
    raise TypeError(f"expected a Manifest, a DataFrame or a path, got {type(clips).__name__}")


def plain_table(clips: "emo.manifest.Manifest | pd.DataFrame") -> TextTable:
    """Return the cells of a manifest or of any DataFrame as text, without a look at its columns.

    Raises:
        ManifestError: it is neither.
    """
    if isinstance(clips, emo.manifest.Manifest):
        clips = Manifest.of(clips).frame
    return text_table(with_index(clips, {}))
