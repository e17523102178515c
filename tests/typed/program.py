"""A user's program: `make types` (mypy --strict) accepts it, and sees each of its mistakes.

A mistake has a comment that ignores it; mypy complains of a comment that nothing needs.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import emo


def work(frame: pd.DataFrame) -> pd.DataFrame:
    """Use the public names as the docs do."""
    m: emo.Manifest = emo.Manifest.from_frame(frame, root="clips", columns={"label": "Emotion"})
    again: emo.Manifest = emo.read_manifest("m.csv")
    named = emo.backbone("hf", "microsoft/wavlm-base", name="wavlm", layers="mean")
    store: emo.Store = emo.extract_features(m, Path("features"), ["classic", named], workers=1)
    tokens: emo.Tokens = store.read("classic/audio", again)
    one: np.ndarray = tokens["a"]
    run: emo.FittedRun = emo.fit(m, store, head="linear", targets="label", seeds=3, epochs=4)
    try:
        emo.compare([run, "runs/b"])
    except emo.EmoError as error:
        print(error, one.shape)
    return run.scores


def mistakes() -> None:
    """Use them wrongly: each line is an error of types."""
    emo.fit(3)  # type: ignore[arg-type]
    emo.read_manifst("m.csv")  # type: ignore[attr-defined]
    emo.Store("x").read("a/b")  # type: ignore[call-arg]
