"""Name the software and the device that compute tokens, for those who ask a year later."""

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from emo.machine.libraries import late

if TYPE_CHECKING:
    import torch
else:
    torch = late("torch")  # 600 MB that planning, and models without it, can do without

_PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "open_clip_torch",
    "timm",
    "av",
    "librosa",
    "opensmile",
)
"""Packages that change numbers, in the part if they are installed."""


def software_of(device: str) -> dict[str, str]:
    """Return name -> version of Python and of the libraries, and the name of the device.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:0`` …
    """
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    is_gpu = device.startswith("cuda") and torch.cuda.is_available()
    found["device"] = torch.cuda.get_device_name(torch.device(device)) if is_gpu else device
    return found
