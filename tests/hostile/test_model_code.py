"""Code that lies beside a model's files is not run, whichever library reads them."""

import json

import pytest

from emo.errors import WeightsError
from emo.extract.backbones.openclip import OpenClip
from emo.extract.models.weights import locate_weights
from emo.extract.networks.hf.no_code import no_foreign_code

CODE = "import pathlib; pathlib.Path({mark!r}).write_text('ran')\nclass Own: pass\n"


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder whose configuration names a class in own.py, and a user who types y."""
    pytest.importorskip("transformers")
    folder, mark = tmp_path / "model", tmp_path / "mark"
    folder.mkdir()
    (folder / "own.py").write_text(CODE.format(mark=str(mark)))
    classes = ("AutoConfig", "AutoModel", "AutoTokenizer")
    document = {
        "model_type": "own", "tokenizer_class": "Own",
        "auto_map": {name: ["own.Own", None] if "Token" in name else "own.Own" for name in classes},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(document))
    (folder / "tokenizer_config.json").write_text(json.dumps(document))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    yield folder
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["AutoConfig", "AutoTokenizer"])
@pytest.mark.parametrize("trust", [None, True, False])
def test_transformers_loads_no_code_however_it_is_called(hostile, kind, trust):
    import transformers

    given = {} if trust is None else {"trust_remote_code": trust}
    with no_foreign_code(hostile), pytest.raises((WeightsError, ValueError)) as raised:
        getattr(transformers, kind).from_pretrained(hostile, **given)
    if trust:
        assert "emo does not run such code" in str(raised.value)


def test_without_the_guard_the_code_runs(hostile, tmp_path):
    """The attack is real: this is what the tests above forbid."""
    import transformers

    with pytest.raises(AttributeError):  # transformers asks more of a class than ours has
        transformers.AutoConfig.from_pretrained(hostile, trust_remote_code=True)
    (tmp_path / "mark").unlink()


def test_a_text_tower_of_open_clip_runs_no_code(hostile):
    pytest.importorskip("open_clip")
    (hostile / "config.json").unlink()
    options = OpenClip.write_tiny(hostile)
    path = hostile / "open_clip_config.json"
    document = json.loads(path.read_text())
    document["model_cfg"]["text_cfg"] |= {
        "hf_tokenizer_name": "somebody/tokenizer",
        "tokenizer_kwargs": {"trust_remote_code": True},
    }
    path.write_text(json.dumps(document))
    found = locate_weights(OpenClip.weights(options))
    with pytest.raises(WeightsError, match="emo does not run such code"):
        OpenClip.build(options, found, device="cpu")
    document["model_cfg"]["text_cfg"]["hf_model_name"] = "somebody/tower"
    path.write_text(json.dumps(document))
    with pytest.raises(WeightsError, match="open_clip cannot build the model"):
        OpenClip.build(options, found, device="cpu")
