"""docs/notebook.ipynb: every cell runs in a kernel, offline; nothing is left in the repository."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[2]


def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", 4)
    (tmp_path / "work").mkdir()
    where = {"metadata": {"path": str(tmp_path / "work")}}
    nbclient.NotebookClient(notebook, timeout=120, resources=where).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = [
        output.get("text") or output["data"].get("text/html") or output["data"]["text/plain"]
        for cell in cells
        for output in cell.outputs
    ]
    assert len(texts) >= 14
    shown = "\n".join(texts)
    assert "24 clips" in shown
    assert "weighted_f1" in shown
    assert "emo fit-head" in shown
    assert "Traceback" not in shown
    assert "failed" not in shown.replace("failures", "")
