"""One file a backbone; the file name is its name. Contract: `emo.extract.backbone`."""
