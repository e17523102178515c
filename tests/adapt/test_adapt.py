"""An adaptation from manifest to new weights, run and prediction."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from emo.adapt.options import AdaptOptions
from emo.errors import EmoError, FitError, OptionError
from emo.store.part.writer import PartWriter
from emo.store.recipe import Recipe, StreamSpec
from emo.store.store import Store
from tests.adapt.conftest import options_of, run_adapt


@pytest.fixture(scope="module")
def adapted(weights, clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted") / "first"
    report = run_adapt(clips, out, options_of(weights, lora_bias="all", num_train_epochs=3))
    return out, report


def test_the_folder_holds_what_it_should(adapted):
    out, report = adapted
    inside = {path.name for path in out.iterdir()}
    assert inside == {
        "adapt.json",
        "clips.csv",
        "contents.csv",
        "weights",
        "adapter",
        "run",
        "inputs",
    }
    document = json.loads((out / "adapt.json").read_text())
    assert document["weights"] == {"languagebind": {"weights": "weights/languagebind/weights"}}
    assert 0 < document["trained"] < document["parameters"]
    assert [each["epoch"] for each in document["log"] if "val_score" in each] == [1, 2, 3]
    config = json.loads((out / "weights/languagebind/weights/config.json").read_text())
    assert config.get("lora_r", 0) == 0
    assert "frozen" in report.lines[2] or any("frozen" in line for line in report.lines)
    assert report.exit_code == 0


def test_new_tokens_are_those_of_the_run_and_of_the_merged_module(adapted, weights, clips, emo):
    out, report = adapted
    code, _, error = emo(
        "extract", clips, "--backbone", "languagebind:tuned", "--out", "features",
        "-o", f"tuned.weights={out}/weights/languagebind/weights", "-o", "tuned.streams=text",
        "-o", "tuned.stored=float32",
    )  # fmt: skip
    assert code == 0, error
    store = Store("features")
    new = store.recipes["tuned"].recipe
    run = report.finished.result
    assert new.fingerprint == run.data.sources[0].recipe.fingerprint
    ids = run.data.splits["test"].ids
    scaled = run.data.splits["test"].batch.streams["languagebind/text"]
    scaling = run.data.scalings["languagebind/text"]
    again = scaling.apply(store.read("tuned/text", ids))
    assert torch.equal(scaled.values, again.values)


def test_predict_finds_the_weights_beside_a_moved_folder(adapted, tmp_path, emo):
    shutil.copytree(adapted[0], tmp_path / "moved")
    code, said, error = emo("predict", "moved/run", "--text", "well hooray it is", "--json")
    assert code == 0, error
    assert json.loads(said)["label"] in ("happy", "sad", "angry")
    (tmp_path / "moved/adapt.json").unlink()
    code, _, error = emo("predict", "moved/run", "--text", "well hooray it is")
    assert code == 1


def test_the_adapter_is_in_the_format_of_peft(adapted, weights):
    from peft import PeftModel

    from emo.extract.backbones.languagebind import LanguageBind, LanguageBindOptions

    out, _ = adapted
    base, merged = (
        LanguageBind.load(
            LanguageBindOptions(weights=str(where), streams="text"), device="cpu"
        )
        for where in (weights, out / "weights/languagebind/weights")
    )  # fmt: skip
    network = base.networks()["weights"]
    tuned = PeftModel.from_pretrained(network, str(out / "adapter/languagebind/weights"))
    tuned = tuned.merge_and_unload(safe_merge=True)
    for name, tensor in merged.networks()["weights"].state_dict().items():
        assert torch.allclose(tensor, network.state_dict()[name], atol=1e-6), name
    tensors = load_file(out / "adapter/languagebind/weights/adapter_model.safetensors")
    assert any(".lora_B.weight" in name for name in tensors)


def test_an_adaptation_is_not_replaced_unasked(adapted, weights, clips):
    with pytest.raises(FitError, match="adaptation with other lora_bias, num_train_epochs; --over"):
        run_adapt(clips, adapted[0], options_of(weights))


@pytest.mark.parametrize("resume", [False, True])
def test_a_repeated_adaptation_is_done_before(adapted, weights, clips, tmp_path, resume):
    out, _ = adapted
    same = options_of(weights, lora_bias="all", num_train_epochs=3)
    before = (out / "adapt.json").read_bytes()
    report = run_adapt(clips, out, same.replace(logging_steps=7), resume=resume)
    assert (report.exit_code, report.finished) == (0, None)
    assert "done before" in report.lines[0]
    assert (out / "adapt.json").read_bytes() == before
    other = tmp_path / "m.csv"
    other.write_text(clips.read_text().replace("well", "Well"))
    with pytest.raises(FitError, match="holds an adaptation with other manifest"):
        run_adapt(other, out, same, resume=resume)


def test_changed_clips_are_refused_with_what_adapt_can_do(adapted, weights, clips, tmp_path):
    other = tmp_path / "m.csv"
    other.write_text(clips.read_text().replace("well", "Well"))
    with pytest.raises(FitError, match=r"changed .* Remove this store of inputs") as caught:
        run_adapt(other, tmp_path / "out", options_of(weights), inputs=adapted[0] / "inputs")
    assert "--changed" not in str(caught.value)


def test_frozen_streams_beside_live_ones_and_a_pattern(weights, clips, tmp_path):
    recipe = Recipe("ours", {"pitch": StreamSpec(3, "float32")})
    folder = Store.create(tmp_path / "store").add_recipe("ours", recipe)
    with PartWriter(folder.path, recipe) as part:
        for number in range(42):
            part.add(f"c{number}", {"pitch": np.full((2, 3), number, np.float32)})
    out = tmp_path / "both"
    report = run_adapt(
        clips, out, options_of(weights, method=r"layer_?norm|norm", head="attention_pool"),
        features=(tmp_path / "store",),
    )  # fmt: skip
    streams = report.finished.result.data.dims
    assert list(streams) == ["languagebind/text", "ours/pitch"]
    assert not (out / "adapter").exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"head": "joint"}, "reads whole dialogues"),
        ({"head": "linear"}, "a solver finds its weights"),
        ({"scaling": {"languagebind/text": "speaker"}}, "cannot be scaled by speaker"),
        ({"fp16": True}, "needs CUDA or MPS"),
        ({"report_to": ("nonsense",)}, "--report-to: .*nonsense"),
        ({"trainer": {"save_strategy": "epoch"}}, "emo sets it; use --save-steps"),
        ({"trainer": {"learning_rats": "1"}}, "did you mean 'learning_rate'"),
        ({"trainer": {"adam_beta1": "word"}}, "invalid float value"),
        ({"backbones": ("classic",), "backbone_options": ()}, "no weights that can be trained"),
    ],
)
def test_what_cannot_be_trained_is_refused(weights, clips, tmp_path, fields, said):
    with pytest.raises(EmoError, match=said):
        run_adapt(clips, tmp_path / "out", options_of(weights, **fields))


def test_names_of_fit_head_are_understood():
    options = AdaptOptions.of(epochs=4, batch_size=2, warmup=0.1, decay="cosine", first_seed=3)
    assert (options.num_train_epochs, options.per_device_train_batch_size) == (4, 2)
    assert (options.warmup_ratio, options.lr_scheduler_type, options.seed) == (0.1, "cosine", 3)
    assert options.fit.first_seed == 3
    with pytest.raises(OptionError, match="no option oddity"):
        AdaptOptions.of(oddity=1)
    with pytest.raises(OptionError, match="lora_dropout: expected from 0 to below 1"):
        AdaptOptions.of(lora_dropout=1.0)


def test_a_loss_that_is_not_finite_stops_and_names_the_clips(weights, clips, tmp_path):
    options = options_of(weights, learning_rate=1e18, max_grad_norm=0.0)
    with pytest.raises(FitError, match=r"the loss is (nan|inf) on the clips c\d+"):
        run_adapt(clips, tmp_path / "out", options)


def test_the_cli(weights, clips, tmp_path, emo):
    code, said, error = emo(
        "adapt", clips, "--backbone", "languagebind", "-o", f"languagebind.weights={weights}",
        "-o", "languagebind.streams=text", "-o", "linear.solver=adamw", "--head", "linear",
        "--method", "full", "--num_train_epochs", "1", "--batch-size", "16", "--bf16",
        "--gradient-checkpointing", "--trainer", "adam_beta1=.8", "--out", "a",
    )  # fmt: skip
    assert code == 0, error
    assert "parameters are trained" in said
    assert "--backbone languagebind:tuned" in said.partition("extract again:")[2]
    document = json.loads((tmp_path / "a/adapt.json").read_text())
    assert document["options"]["head_options"] == {"solver": "adamw"}
    assert np.isfinite(document["log"][-1]["train_loss"])
