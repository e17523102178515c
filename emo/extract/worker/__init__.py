"""One process: takes a part, decodes ahead, encodes, commits; survives a clip that crashes it.

Knows no scheduler.

May import: errors, extract.backbone, extract.backbones, extract.decode, extract.faces,
    extract.job, extract.media, extract.models, manifest, store.part, store.recipe_folder,
    store.store.
Read first: worker.py.
"""
