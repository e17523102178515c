"""The page of `emo view`: runs or a manifest with the media of every clip, on this machine alone.

Read first: view.py.
"""
