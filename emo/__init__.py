"""Extract frozen embeddings once on a cluster, then fit emotion heads on a laptop."""

__version__ = "0.1.0"
