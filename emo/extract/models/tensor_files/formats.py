"""Recognise files that are no PyTorch weights, so that an error can name what they are."""

import os
import re
import zipfile
from pathlib import Path

from emo.machine.untrusted.files import UnfitFileError, open_regular

_FIRST_BYTES = {
    b"\x89HDF\r\n\x1a\n": "HDF5 (Keras, TensorFlow)",
    b"GGUF": "GGUF (llama.cpp)",
    b"ggml": "GGML",
    b"\x93NUMPY": "a NumPy array",
    b"version https://git-lfs": "a Git LFS pointer (run git lfs pull where it was cloned)",
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "an xz archive",
    b"%PDF": "PDF",
}
_PATTERNS = {
    rb"\x08[\x01-\x20](\x12|\x3a)": "ONNX",  # its version (field 1), the producer (field 2)
    rb"[\x01-\x20]\0{3}(?s:.)\0\w{1,50}Spec\0": "CTranslate2",  # its version, a name and its length
}
"""Regular expression of a file's first bytes -> format."""
_ANY_FORMAT = {".bin", ".pt", ".pth"}
"""Suffixes of PyTorch's files that other programs use as well."""
_SUFFIXES = {
    ".onnx": "ONNX", ".h5": "HDF5 (Keras, TensorFlow)", ".hdf5": "HDF5 (Keras, TensorFlow)",
    ".keras": "Keras", ".tflite": "TensorFlow Lite", ".msgpack": "Flax (msgpack)",
    ".gguf": "GGUF (llama.cpp)", ".pb": "TensorFlow", ".mlmodel": "Core ML",
    ".ot": "tch-rs (Rust)", ".npz": "NumPy arrays", ".npy": "a NumPy array",
    ".nemo": "NeMo", ".engine": "TensorRT", ".xml": "OpenVINO",
}  # fmt: skip
_MEMBERS = {
    "config.json": "Keras", "constants.pkl": "TorchScript (a compiled program)",
    ".npy": "NumPy arrays",
}  # fmt: skip
ADVICE = "get the weights as safetensors, or as a PyTorch file of tensors"


def foreign_format(path: Path) -> str | None:
    """Return the name of a file's format if it is not PyTorch's or safetensors; None: not known.

    The contents decide, then the suffix.

    Args:
        path: a file; one that cannot be opened has no known format.
    """
    try:
        with os.fdopen(open_regular(path, follow_links=True)[0], "rb") as file:
            head = file.read(64)
    except (OSError, UnfitFileError):
        return None
    if not head:
        return "empty"
    for start, name in _FIRST_BYTES.items():
        if head.startswith(start):
            return name
    if head[4:8] == b"TFL3":
        return "TensorFlow Lite"
    if head.lstrip()[:1] == b"<":
        return "a web page or XML"
    if head.startswith(b"PK"):
        return _zipped(path)
    if path.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[path.suffix.lower()]
    return next((name for start, name in _PATTERNS.items() if re.match(start, head)), None)


def foreign_files(folder: Path) -> list[str]:
    """Return the files of a folder that are weights of other programs, with their formats."""
    if not folder.is_dir():
        return []
    found = {path.name: _SUFFIXES.get(path.suffix.lower()) for path in folder.iterdir()}
    for name in found:
        if Path(name).suffix.lower() in _ANY_FORMAT:
            found[name] = foreign_format(folder / name)
    return [f"{name} ({found[name]})" for name in sorted(found) if found[name]]


def _zipped(path: Path) -> str | None:
    """Return the format of a zip file; PyTorch's own files are zips with a ``data.pkl``."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "a damaged zip file (an incomplete download?)"
    for end, name in _MEMBERS.items():
        if any(member.endswith(end) for member in names):
            return name
    return None if any(name.endswith("data.pkl") for name in names) else "a zip archive"
