"""The decoding threads of a worker: clips are decoded and prepared ahead of the models.

May import: errors, extract.backbone, extract.backbones, extract.decode, extract.faces,
    extract.job, extract.media, extract.worker, manifest, store.recipe_folder, store.store.
Read first: prefetch.py.
"""
