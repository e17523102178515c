"""Code shared by all backbones with weights: find, hash, download and read the files.

It also forms batches and sets precision and device. It knows no modality and no job.

May import: errors, extract.backbone, extract.media, machine, plugins, store.adapted,
    store.recipe, untrusted.
Read first: model.py.
"""
