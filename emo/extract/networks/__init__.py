"""Architectures that no library ships, a folder a family: functions of tensors and files.

May import: errors, extract.media, extract.models, extract.transforms.
Read first: perceiver.py.
"""
