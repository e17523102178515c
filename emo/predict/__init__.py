"""Predict new clips with a run: extract with its recipes, or read stores, then apply its head.

The folder similarity/ answers questions to stored tokens without a run; serve/ predicts one clip a
request by HTTP; scale/ writes the predictions of millions of clips as parts.

Promises: a clip's prediction is that of the clip alone, except in heads of dialogues and in runs
that scale by speaker, where it depends on the speaker's other clips; a clip without features is
named with its reason; files appear whole or not at all, and never over others' files.

May import: errors, extract.backbone, extract.decode, extract.executor, extract.faces, extract.job,
    extract.media, extract.models, extract.run, extract.worker, heads.data, heads.labels,
    heads.metrics, heads.runs, machine, machine.untrusted, manifest, plugins, ragged,
    store.adapted, store.backend, store.part, store.recipe, store.recipe_folder, store.store.
Read first: predicted.py.
"""
