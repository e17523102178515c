"""The Python interface of `import emo`: clips, features, tokens, heads and scores for notebooks.

Promises: names are those of the commands, in the plural where an option repeats; whatever holds
clips (a manifest, a DataFrame, a path) is accepted where clips are meant; tables are DataFrames;
errors are `emo.EmoError` with the command's sentence. It computes nothing itself.

May import: everything.
Read first: clips.py.
"""
