"""Read runs into the facts of a page: boards of comparable runs, their clips, and cautions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.errors import FitError, OptionError, plural
from emo.heads.data.targets import targets_of
from emo.heads.runs.comparing.compare import scored_run
from emo.heads.runs.files import RUN_FILE, read_document, shown_path
from emo.machine.untrusted.documents import shortened
from emo.manifest import Clip, Manifest
from emo.report.adaptation import frozen_scores, run_folder_of
from emo.report.board import BoardFacts, board_facts
from emo.report.context import Context
from emo.report.group import Group, groups_of
from emo.report.manifests import Manifests
from emo.report.names import PEOPLE, Names, run_names
from emo.report.options import ReportOptions
from emo.report.rows import RunRows, read_run_rows
from emo.report.sections.cards import Suspect, suspects_of
from emo.report.sections.cautions import cautions_of
from emo.report.sections.clip_table import ClipTable, clip_table
from emo.report.sections.run_facts import RunFacts, run_facts


@dataclass(frozen=True, eq=False)
class BoardPage:
    """All that the page shows of runs that were scored on the same rows of one target."""

    title: str
    """Name of the target, with a number where a page has several parts on it."""
    board: BoardFacts
    """Ranking, differences and the sentence on them."""
    cautions: tuple[str, ...]
    """What a reader must know before quoting a number."""
    runs: tuple[RunFacts, ...]
    """Facts on each run, the best first."""
    suspects: tuple[Suspect, ...]
    """Rows whose labels are worth a look."""
    table: ClipTable
    """All rows with the predictions of each run."""


@dataclass(frozen=True, eq=False)
class ReportFacts:
    """The facts of a page; no paths and no content of clips."""

    title: str
    """Title of the page."""
    pages: tuple[BoardPage, ...]
    """A part for each target and set of rows."""
    clips: tuple[str, ...]
    """Ids of all clips that the page names, as in the manifest; a clip's number is its number."""
    names: Names
    """What ids and speakers are called."""
    notes: tuple[str, ...]
    """What is not shown, and why."""
    version: str
    """Version of emo."""
    manifest_clips: Mapping[str, tuple[Manifest, Clip]]
    """Manifest and row of each clip that is known, by id; the template never sees them."""

    @property
    def clips_on_cards(self) -> tuple[int, ...]:
        """Numbers of the clips that the page shows by themselves, each once."""
        cards = [card for page in self.pages for run in page.runs for card in run.cards]
        found = {each for card in cards for each in (card.clip, card.cause) if each is not None}
        found |= {each.clip for page in self.pages for each in page.suspects}
        return tuple(sorted(found))


def read_report(runs: Sequence[Path], options: ReportOptions | None = None) -> ReportFacts:
    """Read the facts of a page.

    Args:
        runs: folders of fits, cross-validations, retrievals and adaptations; folders of several
            runs, such as an ablation's, stand for the runs in them.
        options: what is shown; None: the defaults.

    Raises:
        EmoError: a folder holds no run, or is damaged.
    """
    import emo

    options = options or ReportOptions()
    paths = _folders(runs)
    names = {run_folder_of(path): name for path, name in run_names(paths).items()}
    documents = {path: read_document(path) for path in names}
    found = [
        read_run_rows(scored_run(path, target))
        for path, document in documents.items()
        for target in _targets(path, document, options.target)
    ]
    frozen = {path: frozen_scores(path) for path in names}
    clips = {each: k for k, each in enumerate(dict.fromkeys(
        each for rows in found for each in (*rows.ids, *rows.causes)))}  # fmt: skip
    called = Names(is_anonymous=options.is_anonymous)
    for each in clips:
        called.of("id", each)
    manifests = Manifests(options)
    context = Context(options, names, called, clips, manifests)
    for rows in found:
        _note_unknown(rows, context)
    if options.is_anonymous:
        _check_anonymous(found, context)
    groups = groups_of(found)
    pages = tuple(
        _page(group, title, context, frozen)
        for group, title in zip(groups, _titles(groups), strict=True)
    )
    title = options.title or f"Report on {_listed([*names.values()])}"
    return ReportFacts(
        title, pages, tuple(clips), called, tuple(manifests.notes), emo.__version__,
        _manifest_clips(clips, documents.values(), manifests),
    )  # fmt: skip


def _check_anonymous(found: Sequence[RunRows], context: Context) -> None:
    """Check that no column or class of an anonymous page names people under another heading.

    Raises:
        OptionError: most values of a column of ``--by``, or most classes, are names of speakers.
    """
    for rows in found:
        clips = context.manifests.clips(rows.run.document)
        people = {clip.speaker for clip in clips.values() if clip.speaker}
        columns = [each.removeprefix("@") for each in context.options.by]
        shown = {
            f"--by {column}": {context.manifests.value(rows.run.document, each, column)
                               for each in clips} - {""}
            for column in columns if column not in PEOPLE
        } | {f"target {rows.run.target.name}": {*rows.names}}  # fmt: skip
        for what, values in shown.items():
            named = {each for each in values & people if any(map(str.isalpha, each))}
            if 2 * len(named) > len(values):
                raise OptionError(
                    f"--anonymous and {what}: its values are names of speakers, which the page "
                    "would show; leave one of them out"
                )


def _note_unknown(rows: RunRows, context: Context) -> None:
    """Keep a note if scored clips of a run are not in the manifest."""
    manifest = context.manifests.of(rows.run.document)
    if manifest is None or context.options.manifest is None:  # a run's own one is unchanged
        return
    known, ids = context.manifests.clips(rows.run.document), {*rows.ids}
    if count := len(ids - known.keys()):
        context.manifests.note(
            f"{context.run_names[rows.run.path]}: {count:,} of {plural(len(ids), 'scored clip')} "
            f"are not in {manifest.path.name}: nothing is known of them beside the run"
        )


def _manifest_clips(
    clips: Iterable[str], documents: Iterable[Mapping[str, Any]], manifests: Manifests
) -> dict[str, tuple[Manifest, Clip]]:
    """Return manifest and row of each clip of the page that any manifest of the runs has."""
    found: dict[str, tuple[Manifest, Clip]] = {}
    wanted = [*clips]
    for document in documents:
        manifest, known = manifests.of(document), manifests.clips(document)
        if manifest is not None:
            found = {each: (manifest, known[each]) for each in wanted if each in known} | found
    return found


def _page(
    group: Group, title: str, context: Context, frozen: Mapping[Path, Mapping[str, Any]]
) -> BoardPage:
    """Return the part of the page on a group of runs."""
    try:
        board = board_facts(group, context.run_names, frozen)
        runs = tuple(run_facts(group, run, context) for run in group.ranked)
        cautions = cautions_of(group, board, context)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        files = ", ".join(shown_path(run.path / RUN_FILE) for run in group.runs)
        raise FitError(
            f"{files}: one is damaged: {shortened(repr(error))}. Fit the run again."
        ) from error
    return BoardPage(
        title, board, cautions, runs, suspects_of(group, context),
        clip_table(group, context),
    )  # fmt: skip


def _titles(groups: Sequence[Group]) -> list[str]:
    """Return a different title for each group: its target, with a number if others share it."""
    targets = [group.target.name for group in groups]
    return [
        f"{name} ({targets[:number].count(name) + 1})" if targets.count(name) > 1 else name
        for number, name in enumerate(targets)
    ]


def _folders(runs: Sequence[Path]) -> list[Path]:
    """Return the folders of runs, each once, with those of the runs inside other folders.

    Raises:
        FitError: a folder holds no run.
    """
    found: list[Path] = []
    for path in runs:
        if (run_folder_of(path) / RUN_FILE).is_file():
            found.append(path)
            continue
        inside = sorted(each.parent for each in path.glob(f"*/{RUN_FILE}"))
        if not inside:
            raise FitError(f"{path} holds no run ({RUN_FILE}); emo fit-head --out makes one")
        found += inside
    same: dict[Path, Path] = {}
    for path in found:  # a run that is named twice, or by a link, is one run
        same.setdefault(run_folder_of(path).resolve(), path)
    return [*same.values()]


def _targets(path: Path, document: Mapping[str, Any], wanted: str | None) -> list[str]:
    """Return the targets of a run that are shown.

    Raises:
        FitError: the run has no target of that name.
    """
    known = [target.name for target in targets_of(document)]
    if wanted is None:
        return known
    if wanted not in known:
        raise FitError(f"{path}: target {wanted!r}: expected one of {', '.join(known)}")
    return [wanted]


def _listed(names: Sequence[str]) -> str:
    """Return some names as words; of many, the first and how many more there are."""
    if len(names) <= 3:
        return ", ".join(names)
    return f"{', '.join(names[:2])} and {len(names) - 2} more runs"
