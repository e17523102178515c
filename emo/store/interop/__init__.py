"""Plugins: each file reads and writes one other format (HDF5, npz, Parquet, MATLAB, Kaldi …).

May import: errors, plugins, ragged, store.exchange, store.lazy, untrusted.
Read first: npz.py.
"""
