"""One worker process: takes parts, decodes ahead, encodes, commits; isolates clips that crash it.

It knows no executor and no scheduler.

May import: errors, extract.backbone, extract.backbones, extract.decode, extract.faces,
    extract.job, extract.media, extract.models, machine, machine.untrusted, manifest, plugins,
    store.erased_ids, store.part, store.recipe_folder, store.store.
Read first: worker.py.
"""
