"""``--search`` within ``--cv``: choose values on inner folds of the clips that a fold trains on.

The clips that the fold tests are in no inner fold, neither as tokens nor as labels.
"""

import dataclasses

import numpy as np

from emo.errors import FitError, OptionError
from emo.heads.data.data import Data, split_data
from emo.heads.data.folds import Fold, cut_folds
from emo.heads.data.load import LabelledClips
from emo.heads.data.scaling import Scaling
from emo.heads.data.splits import Splits
from emo.heads.fitting.request import FitRequest
from emo.heads.fitting.search import Search, search

SEARCH_FOLDS = 3
"""Number of inner folds; every trial trains a head on each."""


def search_in_fold(
    loaded: LabelledClips, fold: Fold, request: FitRequest, scalings: dict[str, Scaling]
) -> Search:
    """Search values of options for one fold of a cross-validation.

    Args:
        loaded: all clips of the cross-validation.
        fold: the fold; the rows of its train and val are used.
        request: request of the run.
        scalings: scalings that are not fitted on clips.

    Raises:
        FitError: the clips cannot be cut into inner folds, or every trial diverged.
    """
    inner = inner_data(loaded, fold, request, scalings)
    options = request.options.replace(threads=None)
    return search(request.kind, inner, options, journal=None, progress=False)


def inner_data(
    loaded: LabelledClips, fold: Fold, request: FitRequest, scalings: dict[str, Scaling]
) -> list[Data]:
    """Return the inner folds of a fold: train, and as ``val`` the clips that are held out.

    Where there are too few groups for :data:`SEARCH_FOLDS`, the fold's own train and val are the
    only one.
    """
    rows = np.sort(np.concatenate([fold.splits.rows[name] for name in ("train", "val")]))
    options, strata = request.options, loaded.strata
    try:
        cut = cut_folds(
            [loaded.clips[row] for row in rows.tolist()],
            [strata[row] for row in rows.tolist()],
            str(SEARCH_FOLDS),
            seed=options.first_seed,
            unit=request.kind.unit,
            are_classes=loaded.are_strata_classes,
            cut=options.cut,
            columns=loaded.shared_columns,
        )
        chosen = [each.splits.rows for each in cut.folds]
        held = [
            {"train": rows[np.sort(np.concatenate([c["train"], c["val"]]))], "val": rows[c["test"]]}
            for c in chosen
        ]
        made = [Splits(each, (), is_fold=True) for each in held]
        return [split_data(loaded, each, scalings=scalings, cut=options.cut) for each in made]
    except OptionError:
        raise
    except FitError:
        own = {name: found for name, found in fold.splits.rows.items() if name != "test"}
        only = dataclasses.replace(fold.splits, rows=own)
        return [split_data(loaded, only, scalings=scalings, cut=options.cut)]
