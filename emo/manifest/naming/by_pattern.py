"""Read the columns of clips from their paths by a pattern, and say what the pattern leaves out."""

from collections.abc import Sequence

from emo.errors import listed, plural
from emo.manifest.cells import SPLIT_WORDS
from emo.manifest.naming.facts import fact, first_files
from emo.manifest.naming.parts import Paths, split_parts
from emo.manifest.naming.pattern import columns_by, fields_of
from emo.manifest.naming.readings import readings_of

_Columns = dict[str, list[str]]


def read_by_pattern(
    pattern: str, files: Sequence[str], paths: Paths
) -> tuple[list[int], _Columns, list[dict[str, object]], list[str]]:
    """Return what a pattern finds in the paths of files.

    Folders that are splits count although the pattern does not name them.

    Args:
        pattern: such as ``{label}/{speaker}_{take}``.
        files: relative paths.
        paths: the parts of these paths.

    Returns:
        Indices of the files that the pattern fits, their columns, table rows and lines for people.

    Raises:
        ManifestError: the pattern cannot be used, or fits no file.
    """
    matched = columns_by(pattern, files)
    kept = [index for index, found in enumerate(matched) if found is not None]
    columns = {name: [(matched[k] or {})[name] for k in kept] for name in fields_of(pattern)}
    facts = [fact(name, "the pattern", cells) for name, cells in columns.items()]
    columns, notes = _mended(columns, [files[k] for k in kept])
    for part in split_parts(paths)[:1]:
        if "split" not in columns:
            words = [part.values[k] for k in kept]
            columns["split"] = [SPLIT_WORDS.get(word.lower(), "") for word in words]
            facts.append(fact("split", part.title, words))
            notes.append(f"the pattern names no {{split}}; it was taken from {part.title}")
    taken = [{*cells} for cells in columns.values()]
    labels = dict.fromkeys(r.label for r in readings_of(paths) if r.label is not None)
    says_nothing = not fields_of(pattern)  # such as {_}: names are left out on purpose
    notes += [
        f"the pattern leaves out {part.title}, which looks like a label: "
        f"{listed(sorted(part.distinct))}"
        for part in labels
        if not says_nothing and {part.values[k] for k in kept} not in taken
    ]
    return kept, columns, facts, notes


def _mended(columns: _Columns, files: Sequence[str]) -> tuple[_Columns, list[str]]:
    """Empty labels that are names of splits, and splits that are none; return lines that say so."""
    columns, notes = dict(columns), []
    for name, are_splits in (("label", False), ("split", True)):
        cells = columns.get(name, [])
        wrong = {k for k, cell in enumerate(cells) if (cell.lower() in SPLIT_WORDS) != are_splits}
        if wrong:
            what = "no split" if are_splits else "the name of a split"
            shown = first_files([f"{files[k]} ({cells[k]})" for k in sorted(wrong)])
            notes.append(
                f"{{{name}}} is {what} in {plural(len(wrong), 'file')}, which stay without "
                f"{name}: {shown}"
            )
            columns[name] = ["" if k in wrong else cell for k, cell in enumerate(cells)]
    if "split" in columns:
        columns["split"] = [SPLIT_WORDS.get(cell.lower(), "") for cell in columns["split"]]
    return columns, notes
