"""Data-set recipes: a download in its published layout in, a manifest out."""
