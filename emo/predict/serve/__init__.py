"""The service of `emo serve`: models are loaded once, and clips come one at a time by HTTP.

A request goes through these files: ``app.py`` checks who asks and answers; ``bodies.py`` reads the
file, URL or text within limits; ``pipeline.py`` has the bounded queue and the threads;
``decoder.py`` decodes a file in a child process of limited memory; ``resident.py`` encodes and
predicts. ``server.py`` holds connections and ends in order, ``metrics.py`` counts, ``limits.py``
has all limits.

Promises: the probabilities are those of `emo predict` on the file, bit for bit, unless
``--together`` is given; every accepted request is answered; nothing of a clip stays on the disk, in
logs or in metrics.

Read first: app.py.
"""
