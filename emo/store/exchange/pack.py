"""`emo store pack` and `unpack`: clips of one or more recipes as a single file with checksums.

A pack is a zip of uncompressed members: ``features/RECIPE/…`` as in any store, ``manifest.csv`` if
labels are wanted, and last ``emo-pack.json`` with the SHA-256 of each. Unpacking accepts these
names only, so that nothing can be written outside of its folder.
"""

import hashlib
import json
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from emo.errors import EmoError, StoreError, line_of, plural
from emo.machine.table import format_bytes
from emo.machine.untrusted.documents import DocumentError, parse_checked, shortened
from emo.machine.untrusted.files import kind_of_file
from emo.machine.untrusted.kinds import Fields, MapOf
from emo.plugins import unknown
from emo.store.adapted import SEEN_FILE
from emo.store.backend.atomic import appearing, content_hash
from emo.store.backend.location import Location
from emo.store.exchange.contents import LEFT_OUT, Contents, contents_of
from emo.store.exchange.neutral import renamed, renamed_recipe, renamed_seen
from emo.store.exchange.transfer import lost_lines, only_recipe
from emo.store.exchange.write_parts import write_parts
from emo.store.maintain.verify import verify
from emo.store.recipe_folder import RecipeFolder
from emo.store.store import Store

CONTENTS_FILE, MANIFEST, FEATURES = "emo-pack.json", "manifest.csv", "features"
PACK_VERSION = 1
"""Version of the pack format."""
_NAME = re.compile(
    rf"{re.escape(CONTENTS_FILE)}|{re.escape(MANIFEST)}"
    rf"|{FEATURES}/[\w-][\w.-]*/(recipe\.json|{SEEN_FILE}|part-[0-9a-f]{{16}}(-r\d+)?\.zarr\.zip)"
)
_PACK = Fields({"version": int, "sha256": MapOf(str)})
_UNREADABLE = (
    OSError, zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError,
    struct.error, zlib.error,
)  # fmt: skip
"""What the library raises for a file that is no sound zip file."""
_INDEX_BYTES = 2**26
_COPY_BYTES = 2**20


@dataclass(frozen=True)
class PackReport:
    """Result of packing or unpacking."""

    out: Path
    """Path of the pack, or of the folder into which a pack was unpacked."""
    clips: int
    files: int
    """Number of files in the pack, the list of checksums not counted."""
    size_bytes: int
    """Size of the pack."""
    sha256: str
    """SHA-256 of the pack."""
    lines: tuple[str, ...] = ()
    """Lines for people, besides the numbers."""

    def table(self) -> str:
        """Return the result as text for people."""
        size = format_bytes(self.size_bytes)
        what = (
            f"{plural(self.clips, 'clip')} in {plural(self.files, 'file')} ({size}) -> {self.out}"
        )
        lines = [what, f"sha256 of the pack: {self.sha256}", *self.lines]
        return "\n".join(map(line_of, lines))


def pack(
    store: Location | str,
    out: Path,
    *,
    recipes: Sequence[str] = (),
    streams: Sequence[str] = (),
    cells: Mapping[str, Mapping[str, str]] | None = None,
    manifest: bytes | None = None,
    names: Mapping[str, str] | None = None,
) -> PackReport:
    """Write clips of one or more recipes into one file.

    The pack holds each whole recipe, so that `emo predict` can repeat it; streams that were not
    chosen are absent in every clip.

    Args:
        store: the store with the clips.
        out: the file to write; it must not exist.
        recipes: names of the recipes; empty: the only one in the store.
        streams: the wanted streams, each of at least one of the recipes; empty: all.
        cells: cells of a manifest by clip: take only these clips; None: all.
        manifest: the manifest's CSV to put into the pack; None: no manifest.
        names: clip id -> id that the clip has in the pack; None: the ids stay.

    Raises:
        StoreError: an unknown recipe or stream, or ``out`` exists.
    """
    opened = Store(store)
    folders = [only_recipe(opened, name) for name in dict.fromkeys(recipes)]
    chosen = _chosen(folders or [only_recipe(opened, None)], streams, cells)
    with (
        appearing(out) as temporary,
        tempfile.TemporaryDirectory(dir=temporary.parent) as scratch,
        _without_hidden(Path(scratch), out),
    ):
        root = Path(scratch)
        copy = Store.create(root / FEATURES)
        for folder, contents in chosen:
            recipe, seen = folder.recipe, folder.seen
            if names is not None:
                recipe, contents = renamed_recipe(recipe, names), renamed(contents, names)
                recipe, seen = renamed_seen(recipe, seen, names)
            write_parts(contents, copy.add_recipe(folder.name, recipe, seen=seen))
        if manifest is not None:
            (root / MANIFEST).write_bytes(manifest)
        files = sorted(file for file in root.rglob("*") if file.is_file())
        write_pack(temporary, {file.relative_to(root).as_posix(): file for file in files})
        size, total = temporary.stat().st_size, content_hash(temporary)
    lines = [
        line if len(chosen) == 1 else f"{folder.name}: {line}"
        for folder, contents in chosen
        for line in lost_lines(contents, folder)
    ]
    clips = {clip_id for _, contents in chosen for clip_id in contents.ids}
    return PackReport(out, len(clips), len(files), size, total, tuple(lines))


def unpack(
    file: Path, out: Path, *, check_labels: Callable[[Path], object] | None = None
) -> PackReport:
    """Unpack into a new folder, which appears only if every checksum matches.

    The list of checksums is unpacked, too: by it `emo check` knows that media are not expected.

    Args:
        file: the pack.
        out: the folder to make.
        check_labels: called with the unpacked ``manifest.csv`` if there is one; it raises EmoError
            when the labels cannot be read. None: the file is not looked into.

    Raises:
        StoreError: ``file`` is not a pack, has a member that packs do not have, or a checksum that
            differs; or ``out`` exists; or its manifest cannot be read.
    """
    try:
        if odd := kind_of_file(file):
            raise StoreError(f"{file}: {odd}; give a file that emo store pack wrote")
        with (
            zipfile.ZipFile(file) as archive,
            appearing(out) as temporary,
            _without_hidden(temporary, file, "; nothing was unpacked"),
        ):
            sums = _check(archive, file)
            temporary.mkdir()
            _extract(archive, temporary, sums, file)
            (temporary / CONTENTS_FILE).write_bytes(archive.read(CONTENTS_FILE))
            found = verify(Store(temporary / FEATURES))
            if found.problems:
                path, what = found.problems[0]
                raise StoreError(f"{file}: {path.name} is damaged: {what}; nothing was unpacked")
            if check_labels is not None and (temporary / MANIFEST).exists():
                check_labels(temporary / MANIFEST)
            kept = Store(temporary / FEATURES).recipes.values()
            clips = len({clip_id for folder in kept for clip_id in folder.ids})
    except _UNREADABLE as error:
        what = shortened(str(error))
        raise StoreError(f"{file}: not a pack that can be read: {what}") from error
    lines = [f"{name}: {plural(size, 'clip')}" for name, size in _counts(out / FEATURES).items()]
    if (out / MANIFEST).is_file():
        lines.append(f"with labels: {out / MANIFEST}")
    return PackReport(out, clips, len(sums), file.stat().st_size, content_hash(file), tuple(lines))


@contextmanager
def _without_hidden(hidden: Path, named: Path, end: str = "") -> Iterator[None]:
    """Let errors of the block name a file of the user instead of a folder that is removed.

    Args:
        hidden: temporary folder in which the block writes.
        named: the file to name.
        end: end of the messages.

    Raises:
        OSError: the disk is full or broken.
        StoreError: what was written is not right.
    """
    try:
        yield
    except EmoError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        if str(hidden) not in str(error):
            raise
        text = str(error).replace(f"{hidden}/", "").replace(str(hidden), "its store")
        text = text.removesuffix(".")
        raise StoreError(f"{named}: {text}{end}") from error


def _chosen(
    folders: Sequence[RecipeFolder],
    streams: Sequence[str],
    cells: Mapping[str, Mapping[str, str]] | None,
) -> list[tuple[RecipeFolder, Contents]]:
    """Return the folder, the clips and the streams to pack of each chosen recipe.

    Raises:
        StoreError: an unknown stream, or a recipe that has none of the wanted streams.
    """
    known = {name for folder in folders for name in folder.recipe.streams}
    for name in streams:
        if name not in known:
            raise StoreError(f"{folders[0].path.parent}: {unknown('stream', name, known)}")
    found = []
    for folder in folders:
        own = [name for name in streams if name in folder.recipe.streams]
        if streams and not own:
            raise StoreError(f"{folder.path}: has none of the streams {', '.join(streams)}")
        contents = contents_of(folder, streams=own, cells=cells)
        found.append((folder, _with_reasons(contents, folder.recipe.streams)))
    return found


def _with_reasons(contents: Contents, streams: Mapping[str, object]) -> Contents:
    """Add the reason why the clips lack those of ``streams`` that were not chosen."""
    lost = [name for name in streams if name not in contents.streams]
    if not lost:
        return contents
    reasons = dict.fromkeys(lost, LEFT_OUT)
    absent = {clip_id: {**contents.absent.get(clip_id, {}), **reasons} for clip_id in contents.ids}
    return replace(contents, absent=absent)


def write_pack(out: Path, files: Mapping[str, Path]) -> None:
    """Write a pack of ``files`` (member name -> file) and their checksums."""
    sums = {name: content_hash(path) for name, path in files.items()}
    index = {"format": "emo pack", "version": PACK_VERSION, "sha256": sums}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, path in tqdm(files.items(), desc="pack", unit="file", disable=None, delay=2):
            with open(path, "rb") as source, archive.open(_info(name), "w", force_zip64=True) as to:
                shutil.copyfileobj(source, to, _COPY_BYTES)
        archive.writestr(_info(CONTENTS_FILE), json.dumps(index, indent=2))


def _info(name: str) -> zipfile.ZipInfo:
    """Return a member header dated 1980, so that the same clips make the same bytes."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    return info


def _check(archive: zipfile.ZipFile, file: Path) -> dict[str, str]:
    """Check name and kind of every member; return member name -> SHA-256."""
    seen: set[str] = set()
    for info in archive.infolist():
        wrong = _wrong(info, seen)
        if wrong:
            name = shortened(repr(info.filename))
            raise StoreError(f"{file}: refused: member {name} {wrong}; nothing was unpacked")
        seen.add(info.filename)
    whole = sum(info.file_size for info in archive.infolist())
    if whole > file.stat().st_size:
        raise StoreError(
            f"{file}: refused: its members have {whole:,} bytes, more than the file: they lie "
            "inside each other; nothing was unpacked"
        )
    if CONTENTS_FILE not in seen or archive.getinfo(CONTENTS_FILE).file_size > _INDEX_BYTES:
        raise StoreError(f"{file}: no {CONTENTS_FILE} in it: it was not made by emo store pack")
    try:
        index = parse_checked(archive.read(CONTENTS_FILE), _PACK, most_bytes=_INDEX_BYTES)
    except DocumentError as error:
        raise StoreError(f"{file}: {CONTENTS_FILE} is damaged: {error}") from error
    version, sums = index["version"], index["sha256"]
    if version != PACK_VERSION:
        raise StoreError(f"{file}: expected a pack of version {PACK_VERSION}, got {version}")
    if sums.keys() != seen - {CONTENTS_FILE}:
        odd = sorted(sums.keys() ^ (seen - {CONTENTS_FILE}))
        raise StoreError(
            f"{file}: {CONTENTS_FILE} and the members disagree about {shortened(repr(odd[0]))}"
        )
    return dict(sums)


def _wrong(info: zipfile.ZipInfo, seen: set[str]) -> str | None:
    """Return why a member does not belong into a pack; None: the member is right."""
    name = info.filename
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "has an absolute path"
    if ".." in re.split(r"[/\\]", name):
        return "leaves the folder by '..'"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if name in seen:
        return "occurs twice"
    if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".joblib")):
        return "is a pickle"
    if not _NAME.fullmatch(name):
        return "is not one that emo store pack writes"
    if info.flag_bits & 1 or info.compress_type != zipfile.ZIP_STORED:
        return "is encrypted or compressed; emo store pack writes neither"
    if info.compress_size != info.file_size:
        return "is stored and has two sizes"
    return None


def _extract(archive: zipfile.ZipFile, folder: Path, sums: Mapping[str, str], file: Path) -> None:
    """Write all members into ``folder`` and compare their checksums."""
    for name, expected in tqdm(sums.items(), desc="unpack", unit="file", disable=None, delay=2):
        target, total = folder / name, hashlib.sha256()
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, open(target, "xb") as out:
            while block := source.read(_COPY_BYTES):
                total.update(block)
                out.write(block)
        if total.hexdigest() != expected:
            raise StoreError(
                f"{file}: {name}: expected sha256 {expected[:12]}…, found "
                f"{total.hexdigest()[:12]}…: the pack was damaged in transfer; nothing was "
                "unpacked. Copy it again"
            )


def _counts(features: Path) -> dict[str, int]:
    """Return recipe name -> number of finished clips."""
    return {name: len(folder.ids) for name, folder in Store(features).recipes.items()}
