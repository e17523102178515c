"""The store: a folder of cached tokens, with a sub-folder for each recipe and a file for each part.

May import: ragged, store.part, store.recipe, store.store.
Read first: store.py.
"""

from emo.ragged import Ragged
from emo.store.part.writer import PartWriter
from emo.store.recipe import Recipe, StreamSpec
from emo.store.store import Store

__all__ = ["PartWriter", "Ragged", "Recipe", "Store", "StreamSpec"]
