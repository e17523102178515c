"""Plugins: each file reads and writes one other format (HDF5, npz, Parquet, MATLAB, Kaldi …).

May import: errors, machine.untrusted, plugins, ragged, store.exchange, store.lazy.
Read first: npz.py.
"""
