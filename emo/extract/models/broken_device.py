"""Tells a device that broke from a clip that cannot be done: the first is its worker's death.

After an error such as an illegal memory access every later call to a GPU fails in this process.
Recorded as failures of clips, one such error would cost all clips that the worker has yet to do.
"""

import torch


class BrokenDevice(Exception):
    """No clip's failure: the worker ends, and another does what it had in hand."""


def is_broken(error: Exception) -> bool:
    """Whether nothing can be done on the device any more, as far as the error tells.

    >>> is_broken(RuntimeError("CUDA error: an illegal memory access was encountered"))
    True
    >>> is_broken(RuntimeError("the model stumbled"))
    False
    """
    kind = getattr(torch, "AcceleratorError", ())  # torch 2.7 and older raise RuntimeError
    return isinstance(error, kind) or (
        isinstance(error, RuntimeError) and str(error).startswith("CUDA error")
    )
