"""Read files of joblib, torch and MATLAB without running anything that they name.

May import: what `store.exchange` may.
Read first: unjoblib.py.
"""
