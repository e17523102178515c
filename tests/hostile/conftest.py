"""A store with one recipe in a scratch folder, as the tests of the store have it."""

from tests.store.conftest import commit, folder, store

__all__ = ["commit", "folder", "store"]
