"""Plugins: one other format a file (HDF5, npz, Parquet, Zarr, MMSA, MERTools).

May import: errors, ragged, store.exchange, store.lazy.
Read first: npz.py.
"""
