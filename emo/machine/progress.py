"""Progress bars: in a terminal as text, in a notebook as a widget if ipywidgets is installed."""

import importlib.util
import sys
from typing import Any

from tqdm import tqdm


def progress_bar(*, shown: bool | None, total: int | None = None, **words: Any) -> "tqdm[Any]":
    """Return a bar on stderr with rate and time left; use it in a ``with`` statement.

    Args:
        shown: whether to show it; None: if stderr is a terminal or this is a notebook.
        total: number of steps; None: not known.
        words: ``desc``, ``unit``, ``delay`` and other arguments of tqdm.
    """
    kernel = sys.modules.get("ipykernel.kernelapp")  # its import alone is no notebook
    is_notebook = kernel is not None and kernel.IPKernelApp.initialized()
    if shown is None:
        shown = is_notebook or sys.stderr.isatty()
    kind: Any = tqdm
    if shown and is_notebook and importlib.util.find_spec("ipywidgets"):
        from tqdm.notebook import tqdm as kind
    return kind(total=total, disable=not shown, file=sys.stderr, **words)  # type: ignore[no-any-return]
