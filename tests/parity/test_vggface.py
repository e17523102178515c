"""VGGFace against facenet-pytorch's InceptionResnetV1 with the fixture's hashed weights."""

import importlib.util
import warnings

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1

from emo.extract.backbones.vggface import CHECKPOINT, VggFace, VggFaceOptions
from emo.extract.media import Faces, Media
from tests.parity.conftest import fixtures, present
from tests.parity.tolerances import TOLERANCES

KEY = "vggface.pre_norm"
STAGES = {"pre_norm": False, "embedding_l2": True}  # array of the fixture: normalise
SKIPPED = {"faces_uint8": "the input", "seed": "of the weights"}
TRIED = 12  # tensors, spread over the network; a pass takes a third of a second


@pytest.fixture(scope="module", params=fixtures("vggface"))
def folder(request):
    return present(request.param)


@pytest.fixture(scope="module")
def theirs(folder):
    return dict(np.load(folder / "inputs_outputs.npz"))


@pytest.fixture(scope="module")
def weights(folder, theirs, tmp_path_factory):
    """A file as facenet-pytorch publishes it: the fixture's weights and a classifier."""
    net = InceptionResnetV1(pretrained=None).eval()
    with torch.no_grad():
        recipe(folder).fill(net, int(theirs["seed"]))
    tensors = net.state_dict() | {"logits.weight": torch.ones(3, 512), "logits.bias": torch.ones(3)}
    path = tmp_path_factory.mktemp("vggface") / CHECKPOINT
    torch.save(tensors, path)
    return path


def recipe(folder):
    """The fixture's module, whose import changes the process: all of that is undone."""
    spec = importlib.util.spec_from_file_location("vggface_recipe", folder / "recipe.py")
    module, threads = importlib.util.module_from_spec(spec), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        spec.loader.exec_module(module)
    torch.set_num_threads(threads)
    return module


def load(weights, **options):
    return VggFace.load(VggFaceOptions(weights=str(weights), **options), device="cpu")


def encode(backbone, crops):
    media = Media(faces=Faces(crops, np.ones(len(crops), bool)))
    (tokens,) = backbone.encode([backbone.prepare(media).inputs])
    return tokens["face"]


def test_every_array_of_the_fixture_is_compared_or_skipped_with_a_reason(theirs):
    assert set(theirs) == set(STAGES) | set(SKIPPED)
    assert all(SKIPPED.values())


@pytest.mark.parametrize("stage", STAGES)
def test_the_embeddings_are_theirs(weights, folder, theirs, compare, stage):
    backbone = load(weights, normalise=STAGES[stage])
    compare(folder.name, stage, KEY, encode(backbone, theirs["faces_uint8"]), theirs[stage])


def test_one_percent_on_a_tensor_is_noticed(weights, theirs):
    backbone = load(weights, normalise=False)
    tensors = [
        (name, tensor) for name, tensor in backbone.net.state_dict().items()
        if tensor.is_floating_point()
    ]  # fmt: skip
    for index in np.linspace(0, len(tensors) - 1, TRIED).astype(int):
        name, tensor = tensors[index]
        before = tensor.clone()
        tensor.mul_(1.01)
        ours = encode(backbone, theirs["faces_uint8"])
        tensor.copy_(before)
        assert np.abs(ours - theirs["pre_norm"]).max() > TOLERANCES[KEY], name
