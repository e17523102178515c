"""Extract frozen embeddings once on a cluster, then fit emotion heads on a laptop.

In Python::

    import emo

    m = emo.read_manifest("m.csv")
    store = emo.extract_features(m, "features", ["classic"])
    run = emo.fit(m, store, head="linear", seeds=5)
    run.scores

`import emo` loads nothing else; each name below is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
_MODULES = {
    "Adaptation": "emo.api.adapting",
    "Backbone": "emo.api.own_backbone",
    "EmoError": "emo.errors",
    "FittedRun": "emo.api.runs",
    "FittedRuns": "emo.api.fitting_all",
    "Head": "emo.heads.head",
    "Manifest": "emo.api.clips",
    "Needs": "emo.extract.media",
    "Predictor": "emo.api.predictor",
    "Store": "emo.api.store",
    "StreamSpec": "emo.store.recipe",
    "Tokens": "emo.api.tokens",
    "adapt_backbones": "emo.api.adapting",
    "backbone": "emo.api.extracting",
    "compare": "emo.api.comparing",
    "cross_validate": "emo.api.fitting",
    "duplicates": "emo.api.similarity",
    "extract_features": "emo.api.extracting",
    "fit": "emo.api.fitting",
    "fit_all": "emo.api.fitting_all",
    "load_run": "emo.api.runs",
    "read_manifest": "emo.api.clips",
    "rerun": "emo.api.runs",
    "retrieve": "emo.api.similarity",
    "score_predictions": "emo.api.comparing",
    "search": "emo.api.similarity",
    "zero_shot": "emo.api.similarity",
}
"""Public name -> module that holds it."""
__all__ = [
    *_MODULES,
]

if TYPE_CHECKING:
    from emo.api.adapting import Adaptation as Adaptation
    from emo.api.adapting import adapt_backbones as adapt_backbones
    from emo.api.clips import Manifest as Manifest
    from emo.api.clips import read_manifest as read_manifest
    from emo.api.comparing import compare as compare
    from emo.api.comparing import score_predictions as score_predictions
    from emo.api.extracting import backbone as backbone
    from emo.api.extracting import extract_features as extract_features
    from emo.api.fitting import cross_validate as cross_validate
    from emo.api.fitting import fit as fit
    from emo.api.fitting_all import FittedRuns as FittedRuns
    from emo.api.fitting_all import fit_all as fit_all
    from emo.api.own_backbone import Backbone as Backbone
    from emo.api.predictor import Predictor as Predictor
    from emo.api.runs import FittedRun as FittedRun
    from emo.api.runs import load_run as load_run
    from emo.api.runs import rerun as rerun
    from emo.api.similarity import duplicates as duplicates
    from emo.api.similarity import retrieve as retrieve
    from emo.api.similarity import search as search
    from emo.api.similarity import zero_shot as zero_shot
    from emo.api.store import Store as Store
    from emo.api.tokens import Tokens as Tokens
    from emo.errors import EmoError as EmoError
    from emo.extract.media import Needs as Needs
    from emo.heads.head import Head as Head
    from emo.store.recipe import StreamSpec as StreamSpec


if not TYPE_CHECKING:  # mypy knows the names above, and no others

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used."""
        if name not in _MODULES:
            raise AttributeError(f"module 'emo' has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(_MODULES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return the public names for completion in editors and notebooks."""
    return sorted({*_MODULES, "__version__"})
