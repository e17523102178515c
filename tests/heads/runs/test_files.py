"""Tables of a run folder."""

import numpy as np
import pandas as pd

from emo.heads.runs.files import write_table


def test_a_table_is_written_as_pandas_does(tmp_path):
    columns = {
        "id": np.array(["a,b", 'c"d', None, "e\nf"], dtype=object),
        "a number": np.array([1e-6, np.nan, 100000.0, 0.5]),
        "seed": np.arange(4),
    }
    write_table(tmp_path / "ours.csv", columns)
    pd.DataFrame(columns).to_csv(tmp_path / "theirs.csv", index=False)
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "theirs.csv").read_bytes()
