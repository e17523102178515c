"""`emo store import` and `export`: copy clips between a store and files of other formats."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from emo import plugins
from emo.errors import StoreError, line_of, plural
from emo.machine.table import format_bytes, format_table
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import kind_of_file
from emo.machine.untrusted.foreign import foreign_file
from emo.store.backend.atomic import appearing, content_hash
from emo.store.backend.location import Location
from emo.store.exchange.contents import Contents, contents_of, recipe_of_contents
from emo.store.exchange.format import MOST_BYTES, Format
from emo.store.exchange.write_parts import no_empty_recipe, progress, sizes_of_clips, write_parts
from emo.store.part.zarr_layout import stored_dtype
from emo.store.recipe import IMPORTED, Recipe
from emo.store.recipe_folder import RecipeFolder
from emo.store.store import Store

_SPACE = "space="
"""Start of the option of every format that names the space of the tokens."""


@dataclass(frozen=True)
class TransferReport:
    """Result of an import or export."""

    rows: tuple[dict[str, object], ...]
    """A table row for each stream."""
    clips: int
    """Number of clips that were copied."""
    before: int
    """Number of clips that the store had already; 0 for an export."""
    failures: Mapping[str, str]
    """Id of a clip without tokens -> reason, whether the clip failed now or in an earlier import.
    """
    lines: tuple[str, ...]
    """Lines for people, besides the table."""
    cells: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Clip id -> column of a manifest -> cell, as far as an imported file has such; empty for an
    export."""

    def table(self) -> str:
        """Return the result as text for people."""
        failed = [f"failed: {clip_id}: {why}" for clip_id, why in [*self.failures.items()][:10]]
        if len(self.failures) > 10:
            failed.append(f"… and {len(self.failures) - 10} more")
        return "\n".join([format_table(self.rows), "", *map(line_of, [*self.lines, *failed])])


def import_file(
    name: str,
    path: Path,
    store: Location | str,
    *,
    options: Sequence[str] = (),
    recipe: str | None = None,
    streams: Sequence[str] = (),
    allow_pickle: bool = False,
    wants_labels: bool = False,
    most_bytes: int = MOST_BYTES,
) -> TransferReport:
    """Commit the clips of a file to a store, under a recipe that names file, hash and options.

    Args:
        name: name of the format.
        path: the file, or the folder for formats that are folders.
        store: the store; it is made when it does not exist.
        options: options of the format, as ``name=value``, and ``space=NAME``: the space in which
            the tokens live, by which they are compared with those of other recipes.
        recipe: name of the recipe in the store; None: the file's name.
        streams: the wanted streams; empty: all.
        allow_pickle: allow formats that are pickles.
        wants_labels: refuse files that have no labels.
        most_bytes: refuse a file whose arrays take more bytes once they are decoded.

    Raises:
        EmoError: an unknown format or option, a file of another format, or the store has another
            recipe of this name.
    """
    spaces = [word.removeprefix(_SPACE) for word in options if word.startswith(_SPACE)]
    if len(spaces) > 1 or "" in spaces:
        raise StoreError("-o space=NAME: expected one name")
    others = [word for word in options if not word.startswith(_SPACE)]
    form, chosen = _format(name, others, writes=False)
    _check_pickle(name, form, allow_pickle)
    if not path.exists():
        raise StoreError(f"{path}: no such file; give a file that {name} wrote")
    if odd := kind_of_file(path):
        raise StoreError(f"{path}: {odd}; give a file that {name} wrote")
    form.most_bytes, form.allow_pickle = most_bytes, allow_pickle
    form.wants_labels = wants_labels
    with ExitStack() as file:
        unread = f"cannot be read as {name}"
        with _naming(path), foreign_file(path, StoreError, unread):
            contents = file.enter_context(form.read(path, chosen))
            contents = contents.choose(list(streams)) if streams else contents
            if wants_labels and not contents.cells:
                raise StoreError(f"--manifest: {path} has no labels; leave it out")
            if not contents.ids and not contents.failures:
                raise StoreError(f"{path}: holds no clips")
            _check_ids(contents.ids, path)
            _check_sizes(contents, form.budget(path))
            facts = {"format": name, "sha256": content_hash(path), **asdict(chosen)}
            made = recipe_of_contents(contents, backbone=f"{IMPORTED}{name}", options=facts)
            _check_dtypes(made, path)
        known = {"space": dict.fromkeys(made.streams, spaces[0])} if spaces else {}
        made = replace(made, facts={**made.facts, "file": path.name, **known})
        opened = Store.create(store)
        if spaces:
            _check_space(opened, recipe or _name_of(path), spaces[0])
        folder = opened.add_recipe(recipe or _name_of(path), made, seen=contents.seen)
        with no_empty_recipe(folder):
            before, new_failures = write_parts(contents.guarded(path, unread), folder)
        done = len(contents.ids) - before - len(new_failures.keys() & set(contents.ids))
        named, failed = {*contents.ids, *contents.failures}, folder.failures
        failures = {clip_id: why for clip_id, why in failed.items() if clip_id in named}
        lines = [f"{plural(done, 'clip')} of {path} -> {folder.path}"]
        lines += [f"{before:,} were there before"] * bool(before)
        lines += [f"no tokens, left out: {', '.join(contents.ignored)}"] * bool(contents.ignored)
        lines += contents.lines
        cells, unknown = known_cells(contents.cells)
        lines += _labels_line(cells, contents.label_names) if not wants_labels else []
        lines += [f"unknown labels (nan), left empty: {unknown:,}"] * bool(unknown and wants_labels)
        return TransferReport(_rows(contents), done, before, failures, tuple(lines), cells)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name a file in a StoreError of the block whose message does not name it."""
    try:
        yield
    except StoreError as error:
        if str(path) in str(error):
            raise
        raise StoreError(f"{path}: {error}") from error


def _check_dtypes(recipe: Recipe, path: Path) -> None:
    """Raise StoreError for a stream of numbers that a store does not hold, such as float128."""
    for name, spec in recipe.streams.items():
        try:
            stored_dtype(spec.dtype)
        except StoreError as error:
            raise StoreError(f"{path}: stream {name!r}: {error}") from error


def _labels_line(cells: Mapping[str, Mapping[str, str]], unread: Sequence[str]) -> list[str]:
    """Return a line that names the labels in a file, which ``--manifest`` would write."""
    names = list(dict.fromkeys([*(name for row in cells.values() for name in row), *unread]))
    more = [f"and {len(names) - 10} more"] * (len(names) > 10)
    shown = [shortened(name, 40) for name in names[:10]] + more
    return [f"labels in the file: {', '.join(shown)} (--manifest FILE writes them)"] * bool(names)


def _check_space(store: Store, name: str, space: str) -> None:
    """Raise StoreError if the store has a recipe of this name whose streams live elsewhere."""
    if name not in store.recipes:
        return
    folder = store.recipes[name]
    known = folder.recipe.facts.get("space")
    own = {str(each) for each in (known.values() if isinstance(known, dict) else [known]) if each}
    if own != {space}:
        words = f"the space {', '.join(map(repr, sorted(own)))}" if own else "no known space"
        raise StoreError(
            f"{folder.path}: -o space={space}: the tokens that are there live in {words}, which "
            "an import does not change; import under another name with --as RECIPE"
        )


def known_cells(
    cells: Mapping[str, Mapping[str, str]],
) -> tuple[dict[str, dict[str, str]], int]:
    """Return the cells of a manifest without those that say ``nan``, and the number of those left
    out.

    Tools write ``nan`` for a label that is not known, and a manifest leaves the cell empty. A
    column keeps its place if all its cells are empty; texts may be any word.

    Args:
        cells: clip id -> column of a manifest -> cell.
    """
    found, unknown = {}, 0
    for clip_id, row in cells.items():
        lost = {name for name, cell in row.items() if name != "text" and _is_unknown(cell)}
        unknown += len(lost)
        found[clip_id] = {name: "" if name in lost else cell for name, cell in row.items()}
    return found, unknown


def _is_unknown(cell: str) -> bool:
    """Return whether a cell is a tool's word for a missing number."""
    return cell.strip().lower() in ("nan", "+nan", "-nan", "<na>", "nat")


def export_file(
    name: str,
    store: Location | str,
    out: Path,
    *,
    recipe: str | None = None,
    streams: Sequence[str] = (),
    cells: Mapping[str, Mapping[str, str]] | None = None,
    options: Sequence[str] = (),
) -> TransferReport:
    """Write clips of a recipe to a file or folder, which appears whole or not at all.

    Args:
        name: name of the format.
        store: the store with the clips.
        out: the file or folder to write; it must not exist.
        recipe: name of the recipe; None: the only one in the store.
        streams: the wanted streams; empty: all.
        cells: cells of a manifest by clip: take only these clips, in this order; None: all clips.
        options: options of the format, as ``name=value``.

    Raises:
        EmoError: an unknown format, option, recipe or stream, or ``out`` exists.
    """
    form, chosen = _format(name, options, writes=True)
    if not form.can_write:
        raise StoreError(f"{name} files are imported only; `emo list formats` names the others")
    folder = only_recipe(Store(store), recipe)
    contents = contents_of(folder, streams=streams, cells=cells)
    _check_letters(contents.ids)
    with appearing(out) as temporary, progress(contents, "export") as bar:
        form.write(contents.with_ticks(bar.update), temporary, chosen)
        size = _size(temporary)
    lines = [
        f"{plural(len(contents.ids), 'clip')} of {folder.path} -> {out} ({format_bytes(size)})"
    ]
    lines += lost_lines(contents, folder)
    return TransferReport(_rows(contents), len(contents.ids), 0, {}, tuple(lines))


def only_recipe(store: Store, name: str | None) -> RecipeFolder:
    """Return the folder of a recipe; for None, of the only recipe in the store.

    Raises:
        StoreError: there is no recipe of this name, or no name was given and there are several.
    """
    if name is None and len(store.recipes) == 1:
        return next(iter(store.recipes.values()))
    if name is None:
        found = ", ".join(store.recipes) or "none"
        raise StoreError(f"{store.path}: say which recipe with --recipe NAME; it holds: {found}")
    if name not in store.recipes:
        raise StoreError(f"{store.path}: {plugins.unknown('recipe', name, store.recipes)}")
    return store.recipes[name]


def lost_lines(contents: Contents, folder: RecipeFolder) -> list[str]:
    """Return a line that says how many wanted clips have no tokens; no line: all have some."""
    lost = len(contents.cells or folder.ids) - len(contents.ids)
    return [f"{plural(lost, 'clip')} without tokens in these streams: left out"] * bool(lost)


def _format(name: str, options: Sequence[str], *, writes: bool) -> tuple[Format, Any]:
    """Return an instance of a format, and the parsed options of that format."""
    kind = plugins.load(plugins.FORMATS, name, Format)  # type: ignore[type-abstract]
    pairs = plugins.split_options(options, [name])[name]
    return kind(), plugins.parse_options(
        kind.WriteOptions if writes else kind.ReadOptions, pairs, name
    )


def _check_pickle(name: str, form: Format, allow_pickle: bool) -> None:
    """Raise StoreError unless ``--allow-pickle`` is given just for formats that need it."""
    if form.is_pickle and not allow_pickle:
        raise StoreError(
            f"{name} files are pickles, and a pickle can run code. --allow-pickle reads them with "
            "a restricted reader (numbers, text, lists, dicts, numpy arrays; nothing else)"
        )
    if allow_pickle and not (form.is_pickle or form.may_be_pickle):
        raise StoreError(f"--allow-pickle: {name} holds no pickles; leave it out")


def _check_ids(ids: Sequence[str], path: Path) -> None:
    """Raise StoreError for ids that a store cannot hold."""
    seen: set[str] = set()
    for clip_id in ids:
        if not clip_id or clip_id in seen or "\n" in clip_id:
            what = f"clip {clip_id!r} twice" if clip_id in seen else f"a clip called {clip_id!r}"
            raise StoreError(f"{path} holds {what}; ids must be unique, not empty, and of one line")
        seen.add(clip_id)
        try:
            clip_id.encode()
        except UnicodeEncodeError:
            raise StoreError(
                f"{path}: clip {clip_id!a}: its id is no text in UTF-8; rename it"
            ) from None


def _check_sizes(contents: Contents, budget: Budget) -> None:
    """Raise StoreError for a clip that is too large: each clip is read and written whole."""
    sizes = sizes_of_clips(contents)
    if len(sizes):
        row = int(sizes.argmax())
        budget.check_piece(int(sizes[row]), f"clip {shortened(repr(contents.ids[row]), 80)}")


def _check_letters(ids: Sequence[str]) -> None:
    """Raise StoreError for ids that cannot be written as UTF-8."""
    for clip_id in ids:
        try:
            clip_id.encode()
        except UnicodeEncodeError:
            raise StoreError(
                f"clip {clip_id!a}: its id holds half of a character (a lone surrogate), which "
                "other tools cannot read; leave the clip out with --manifest"
            ) from None


def _rows(contents: Contents) -> tuple[dict[str, object], ...]:
    """Return a table row for each stream."""
    return tuple(
        {
            "stream": name, "clips": int((rows.lengths > 0).sum()),
            "absent": int((rows.lengths == 0).sum()), "tokens": rows.tokens,
            "dim": rows.spec.dim, "dtype": rows.spec.dtype,
        }
        for name, rows in contents.streams.items()
    )  # fmt: skip


def _name_of(path: Path) -> str:
    """Return the name of a recipe imported from the file ``path``."""
    return re.sub(r"[^\w-]+", "-", path.stem).strip("-") or "imported"


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
