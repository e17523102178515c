"""videollama."""
