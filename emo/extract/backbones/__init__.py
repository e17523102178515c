"""Plugins: each file is one backbone, and the file's name is the backbone's name.

May import: errors, extract.backbone, extract.decode, extract.media, extract.models,
    extract.networks, extract.transforms, machine, manifest, plugins, store.recipe.
Read first: logmel.py.
"""
