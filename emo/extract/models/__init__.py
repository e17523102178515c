"""What all backbones with weights share: find, hash, download, read and fill them.

Also batches, precision and devices; never a modality, never a job.

May import: errors, extract.backbone, extract.media, plugins, store.recipe.
Read first: model.py.
"""
