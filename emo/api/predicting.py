"""Predict new clips with a run, as a DataFrame."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emo.api.clips import Clips, clips_of
from emo.api.store import Store, locations
from emo.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx")
"""Extensions of tables; a path with another one is a media file."""


def predict_frame(
    run: Path,
    clips: "Clips | pd.DataFrame | None",
    text: str | None,
    features: "str | Path | Store | Sequence[str | Path | Store]",
    options: Sequence[str],
) -> "pd.DataFrame":
    """Predict clips, a folder, one media file, or a text; see :meth:`FittedRun.predict`.

    Raises:
        EmoError: a clip cannot be decoded, or the run's recipes cannot be repeated here.
    """
    import pandas as pd

    from emo.predict.one_clip import predict_file
    from emo.predict.predicted import predict_clips

    if isinstance(clips, str | Path) and Path(clips).is_dir():
        from emo.predict.file import manifest_of_folder

        clips = manifest_of_folder(Path(clips))
    is_file = isinstance(clips, str | Path) and Path(clips).suffix.lower() not in TABLES
    if clips is None or is_file:
        if clips is None and text is None:
            raise OptionError("predict: expected clips, a media file, or text=…")
        found = predict_file(run, Path(str(clips)) if is_file else None, text, options=options)
        row = {"id": found.clip_id, "prediction": found.label}
        shares = {f"p_{name}": share for name, share in found.probabilities.items()}
        return pd.DataFrame([row | shares | {"absent": ", ".join(found.absent)}])
    if text is not None:
        raise OptionError("predict: text= goes with one media file; put texts into the table")
    stores = locations(features) if features else []
    return predict_clips(run, clips_of(clips), stores, options=options).frame()
