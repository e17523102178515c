"""Code shared by all backbones with weights: find, hash, download and read the files.

It also forms batches and sets precision and device. It knows no modality and no job.

May import: errors, extract.backbone, extract.media, machine, machine.untrusted, plugins,
    store.adapted, store.recipe.
Read first: model.py.
"""
