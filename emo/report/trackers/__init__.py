"""`emo log`: scores and options of finished runs for W&B, MLflow or TensorBoard, one file each.

May import: what report may.
Read first: log.py.
"""
