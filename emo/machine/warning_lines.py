"""Print warnings of emo as one line, in commands and in their worker processes."""

import sys
import warnings
from typing import Any

from emo.errors import line_of
from emo.machine.file_code import EditedCodeWarning
from emo.machine.table import shown


def print_warnings_as_lines() -> None:
    """Print a warning of emo as one line on stderr, and others as Python does."""
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if issubclass(category, EditedCodeWarning):
            print(shown(line_of(f"emo: warning: {message}")), file=sys.stderr)
        else:
            others(message, category, *rest, **more)

    warnings.showwarning = show
