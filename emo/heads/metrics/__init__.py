"""Labels and predictions in, scores and intervals out. Numpy alone; imports no torch.

May import: errors, heads.labels.
Read first: measures.py.
"""
