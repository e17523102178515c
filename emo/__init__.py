"""`emo`: extract frozen embeddings once on the cluster, fit emotion heads on a laptop."""

__version__ = "0.1.0"
