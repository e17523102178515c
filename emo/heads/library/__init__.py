"""One file a head; the file name is its name. Contract: `emo.heads.head`."""
