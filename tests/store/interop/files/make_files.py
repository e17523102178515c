"""Make the small files of other tools in this folder; none of these tools is a dependency.

pip install kaldiio==2.18.1 liac-arff==2.5.0 audformat==1.4.3
python tests/store/interop/files/make_files.py tests/store/interop/files
"""

import sys
from pathlib import Path

import numpy as np


def arff(folder):
    import arff

    document = {
        "relation": "smile", "description": "two clips",
        "attributes": [
            ("name", "STRING"), ("pcm[0]_mean", "REAL"), ("F0 final", "NUMERIC"),
            ("emotion", ["joy", "deep anger"]),
        ],
        "data": [["a, b.wav", 0.5, 2.0, "joy"], ["it's.wav", -1.25, None, "deep anger"],
                 ["c.wav", 1e-3, 3.0, None]],
    }  # fmt: skip
    (folder / "liac.arff").write_text(arff.dumps(document))


def kaldi(folder):
    import kaldiio

    rng = np.random.default_rng(0)
    clips = {"utt-a": rng.normal(size=(3, 4)).astype("f4"), "utt-b": rng.normal(size=(1, 4))}
    clips["utt-b"] = clips["utt-b"].astype("f4")
    np.savez(folder / "kaldi.npz", **clips)
    kaldiio.save_ark(str(folder / "feats.ark"), clips, scp=str(folder / "feats.scp"))
    kaldiio.save_ark(str(folder / "text.ark"), clips, text=True)
    kaldiio.save_ark(str(folder / "vec.ark"), {k: v[0].astype("f8") for k, v in clips.items()})
    for method in (2, 3, 5):
        kaldiio.save_ark(str(folder / f"packed{method}.ark"), clips, compression_method=method)
    text = (folder / "feats.scp").read_text().replace(f"{folder}/", "")
    (folder / "feats.scp").write_text(text)


def audformat(folder):
    import audformat
    import pandas as pd

    index = audformat.segmented_index(
        ["a.wav", "a.wav", "b.wav"], ["0s", "1.5s", "0s"], ["1.5s", "3.25s", "2s"]
    )
    data = {"F0": [1.0, 2.0, 3.0], "loud": [0.5, 0.25, 0.125], "emotion": ["joy", "fear", "joy"]}
    pd.DataFrame(data, index=index).to_csv(folder / "audformat.csv")


if __name__ == "__main__":
    for make in (arff, kaldi, audformat):
        try:
            make(Path(sys.argv[1]))
        except ModuleNotFoundError as error:
            print(f"{make.__name__}: left as it is, {error}")
