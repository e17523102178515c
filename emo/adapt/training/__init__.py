"""Training by Hugging Face's Trainer: batches, losses, checkpoints, processes and signals.

May import: everything.
Read first: trainer.py.
"""
