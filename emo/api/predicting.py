"""Predict new clips with a run, as a DataFrame."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emo.api.clips import Clips, clips_of
from emo.api.store import Store, locations
from emo.errors import OptionError, plural
from emo.manifest.rows import EXTENSIONS

if TYPE_CHECKING:
    import pandas as pd

_TABLES = (*EXTENSIONS, ".xlsx")
"""Extensions of tables; a path with another one is a media file."""


def predict_frame(
    run: Path,
    clips: "Clips | pd.DataFrame | Sequence[str | Path] | None",
    text: str | None,
    features: "str | Path | Store | Sequence[str | Path | Store]",
    options: Sequence[str],
    speaker: str = "",
    like: "str | Path | Sequence[str | Path]" = (),
    root: str | Path | None = None,
) -> "pd.DataFrame":
    """Predict clips, a folder, one media file, or a text; see :meth:`FittedRun.predict`.

    Raises:
        EmoError: a clip cannot be decoded, or the run's recipes cannot be repeated here.
    """
    import pandas as pd

    from emo.predict.one_clip import predict_file
    from emo.predict.person import Person
    from emo.predict.predicted import predict_clips

    if like and features:
        raise OptionError(
            "predict: like= names media files, and features= a store; with a store, put the "
            "further clips into the table, with their speaker"
        )
    further = (like,) if isinstance(like, str | Path) else like
    person = Person(speaker, tuple(map(Path, further)))
    if isinstance(clips, str | Path) and Path(clips).is_dir():
        from emo.predict.media_files import manifest_of_folder

        clips = manifest_of_folder(Path(clips))
    elif isinstance(clips, list | tuple):
        from emo.predict.media_files import manifest_of_files

        if not clips:
            raise OptionError("predict: expected at least one media file, got an empty list")
        clips = manifest_of_files([Path(each) for each in clips])
    is_file = isinstance(clips, str | Path) and Path(clips).suffix.lower() not in _TABLES
    if clips is None or is_file:
        if clips is None and text is None:
            raise OptionError("predict: expected clips, a media file, or text=…")
        found = predict_file(run, Path(str(clips)) if is_file else None, text, options=options,
                             person=person)  # fmt: skip
        _warn(found.notes)
        row = {"id": found.clip_id, "prediction": found.label}
        shares = {f"p_{name}": share for name, share in found.probabilities.items()}
        return pd.DataFrame([row | shares | {"absent": ", ".join(found.absent)}])
    if text is not None:
        raise OptionError("predict: text= goes with one media file; put texts into the table")
    table = clips_of(clips, root=root)  # type: ignore[arg-type]
    stores = locations(features) if features else []
    many = predict_clips(run, table, stores, options=options, person=person)
    lost = [f"{clip_id}: {reason}" for clip_id, reason in many.failures.items()]
    left_out = [f"no prediction for {plural(len(lost), 'clip')}, first {lost[0]}"] if lost else []
    _warn([*left_out, *many.notes])
    return many.frame()


def _warn(notes: Sequence[str]) -> None:
    """Warn the caller of :meth:`FittedRun.predict` with each note."""
    for note in notes:
        warnings.warn(note, stacklevel=4)
