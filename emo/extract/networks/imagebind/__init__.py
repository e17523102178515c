"""imagebind."""
