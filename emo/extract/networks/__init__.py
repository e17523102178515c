"""Networks that backbones build themselves, one folder for each family of models.

May import: errors, extract.media, extract.models, extract.transforms.
Read first: perceiver.py.
"""
