"""Plugins: one backbone a file. The file name is the name of the backbone.

May import: errors, extract.backbone, extract.decode, extract.media, extract.models,
    extract.networks, extract.transforms, manifest, plugins, store.recipe.
Read first: logmel.py.
"""
