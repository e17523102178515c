"""Networks of backbones that no library has, built from their papers and key names."""
