"""Our backbones against the original code's own outputs on tiny random models."""
