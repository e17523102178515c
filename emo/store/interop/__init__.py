"""Plugins: each file reads and writes one other format (HDF5, npz, Parquet, Zarr, MMSA, MERTools).

May import: errors, ragged, store.exchange, store.lazy, untrusted.
Read first: npz.py.
"""
