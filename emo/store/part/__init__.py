"""part."""
