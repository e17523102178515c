"""Read what `emo view` shows, and start its server."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from emo.errors import OptionError, plural
from emo.manifest import inspect_manifest
from emo.report.facts import read_report
from emo.report.options import SHOWN_MEDIA, ReportOptions
from emo.report.page import render_page
from emo.report.view.clip_media import ClipMediaFiles, ViewedClip
from emo.report.view.pages import ServedMedia, ViewPages
from emo.report.view.server import ViewServer
from emo.report.view.stores import ViewedStores


@dataclass(frozen=True)
class ViewOptions:
    """What `emo view` shows."""

    manifest: Path | None = None
    """Manifest of the clips of runs; None: that of each run."""
    root: Path | None = None
    """Folder of the media; None: that of the manifest."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of the manifest under other names: our name -> the file's."""
    features: tuple[str, ...] = ()
    """Stores whose tokens, failures and face crops are shown."""


def view_pages(paths: Sequence[Path], options: ViewOptions) -> ViewPages:
    """Read the pages of runs, or of one manifest.

    Args:
        paths: folders of runs, or one manifest.
        options: what is shown.

    Raises:
        EmoError: a run, the manifest or a store cannot be read.
    """
    stores = ViewedStores(options.features)
    if all(path.is_dir() for path in paths):
        return _of_runs(paths, options, stores)
    if len(paths) > 1:
        raise OptionError("expected folders of runs, or one manifest; found both, or several files")
    manifest, problems = inspect_manifest(paths[0], columns=options.columns, root=options.root)
    notes = [problem.message for problem in problems[:10]]
    if len(problems) > len(notes):
        notes.append(f"{plural(len(problems) - len(notes), 'more row')}: see `emo check`")
    clips = [ViewedClip(clip.id, clip, manifest) for clip in manifest.clips]
    return ViewPages(ClipMediaFiles(clips, stores), title=paths[0].name, notes=notes)


def _of_runs(paths: Sequence[Path], options: ViewOptions, stores: ViewedStores) -> ViewPages:
    """Return the pages of runs."""
    shown = ReportOptions(
        manifest=options.manifest, root=options.root, columns=options.columns,
        features=options.features, media=SHOWN_MEDIA,
    )  # fmt: skip
    facts = read_report(paths, shown)
    clips = [ViewedClip(each) for each in facts.clips]
    for number, each in enumerate(facts.clips):
        if each in facts.manifest_clips:
            manifest, clip = facts.manifest_clips[each]
            clips[number] = ViewedClip(each, clip, manifest)
    files = ClipMediaFiles(clips, stores)
    report = render_page(facts, media=ServedMedia(files))
    script = '<script src="media.js"></script>'
    report = report.replace("</head>", f"{script}\n</head>", 1)
    return ViewPages(files, title="Clips of the runs", report=report, notes=facts.notes)


def open_browser(server: ViewServer, stack: ExitStack) -> None:
    """Open the page in the user's browser.

    The browser gets a private file that leads on to the page: its command line, which other users
    of the machine can read, must not hold the token.

    Args:
        server: the server.
        stack: removes the file at the end.
    """
    import webbrowser

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="emo-view-"))
    file = Path(folder, "open.html")
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as page:
        page.write(f'<meta http-equiv="refresh" content="0;url={server.url}">\n')
    webbrowser.open(file.as_uri())
