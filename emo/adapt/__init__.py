"""Train backbones on the user's labels together with a head, and write the new weights.

With ``predict``, the room that joins the two stages: it computes tokens with
gradients, and its folder holds weights that `emo extract` loads and a run that `emo predict` reads.

May import: everything.
Read first: options.py.
"""
