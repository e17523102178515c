"""Small batches, manifests and stores for the tests of heads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from emo import plugins
from emo.heads.head import Batch, Head
from emo.manifest import Clip, Manifest
from emo.ragged import Ragged, offsets_of
from emo.store.part.writer import PartWriter
from emo.store.recipe import Recipe, StreamSpec
from emo.store.store import Store

CLASSES = {"emotion": 3}


def assert_close(found: torch.Tensor, expected: torch.Tensor, *, tolerance: float = 1e-5) -> None:
    """Equal to a tolerance; torch.testing would import torch's compiler for seconds."""
    np.testing.assert_allclose(
        found.detach().numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance
    )


def make_tokens(lengths: Sequence[int], width: int, *, seed: int = 0) -> Ragged:
    """Normal tokens, torch float32."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((sum(lengths), width)).astype(np.float32)
    return Ragged(torch.from_numpy(values), torch.from_numpy(offsets_of(np.array(lengths))))


def make_batch(
    lengths: Sequence[int] | Mapping[str, Sequence[int]], *, width: int = 6, seed: int = 0
) -> Batch:
    """A batch with random tokens and labels; one stream ``s/a``, or those of the mapping."""
    streams = lengths if isinstance(lengths, Mapping) else {"s/a": lengths}
    count = len(next(iter(streams.values())))
    labels = np.random.default_rng(seed).integers(0, CLASSES["emotion"], count)
    return Batch(
        {
            name: make_tokens(found, width + place, seed=seed + place)
            for place, (name, found) in enumerate(streams.items())
        },
        targets={"emotion": torch.from_numpy(labels)},
    )


def in_dialogues(batch: Batch, name: str = "dialogue_bilstm") -> Batch:
    """Dialogues of three turns, and the last of what is left, if the head reads them."""
    if plugins.load(plugins.HEADS, name, Head).unit == "clip":
        return batch
    turns = torch.full((-(-len(batch) // 3), 3), -1)
    turns.view(-1)[: len(batch)] = torch.arange(len(batch))
    return replace(batch, turns=turns)


def make_head(name: str, batch: Batch, *, seed: int = 0, **options: object) -> Head:
    """A head of the library for the batch's streams, in eval mode, with no weight left at 0."""
    kind = plugins.load(plugins.HEADS, name, Head)
    dims = {stream: tokens.width for stream, tokens in batch.streams.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = kind(dims, CLASSES, options=kind.Options(**options)).eval()
        for weight in head.parameters():
            weight.data += 0.1 * torch.randn_like(weight)
        if not list(head.parameters()):  # a machine without vectors answers all clips alike
            drawn = {key: torch.rand(5, *v.shape[1:]) for key, v in head.state_dict().items()
                     if key.startswith("vectors")}  # fmt: skip
            kernel = {"coefficients": torch.randn(len(head.coefficients), 5)}
            head.load_state_dict({**head.state_dict(), **drawn, **kernel})
    return head


def make_manifest(labels: Sequence[str | None], **columns: Sequence[str | None]) -> Manifest:
    """Clips ``c0``, ``c1`` … with a ``label``; further columns are fields of Clip."""
    clips = [
        Clip(
            id=f"c{row}",
            text="x",
            targets={} if label is None else {"label": label},
            **{name: values[row] for name, values in columns.items()},
        )
        for row, label in enumerate(labels)
    ]
    return Manifest(path=Path("m.csv"), root=Path(), clips=tuple(clips), sha256="0" * 64)


def make_store(
    path: Path,
    tokens: Mapping[str, Mapping[str, np.ndarray]],
    *,
    recipe_name: str = "fake",
    specs: Mapping[str, StreamSpec] | None = None,
    options: Mapping[str, object] | None = None,
) -> Path:
    """A store with one recipe: ``{clip id: {stream: (T, D)}}``; a clip without streams failed."""
    if specs is None:
        widths = {name: found.shape[1] for clip in tokens.values() for name, found in clip.items()}
        specs = {name: StreamSpec(width, "float32") for name, width in widths.items()}
    recipe = Recipe("fake", dict(specs), options=dict(options or {}))
    folder = Store.create(path).add_recipe(recipe_name, recipe)
    with PartWriter(folder.path, recipe) as part:
        for clip_id, streams in tokens.items():
            if streams:
                absent = {name: "none" for name in specs if name not in streams}
                part.add(clip_id, streams, absent=absent)
            else:
                part.fail(clip_id, "broken")
    return path


def learnable(
    clips: int, *, streams: Sequence[str] = ("a",), seed: int = 0
) -> tuple[list[str], dict[str, dict[str, np.ndarray]]]:
    """Labels of three classes, and tokens (1 to 5, 8) whose mean tells the class most times."""
    random = np.random.default_rng(seed)
    numbers = np.arange(clips) % 3
    centres = 1.2 * random.standard_normal((len(streams), 3, 8))
    tokens = {
        f"c{row}": {
            stream: (
                centres[place, number] + random.standard_normal((random.integers(1, 6), 8))
            ).astype(np.float32)
            for place, stream in enumerate(streams)
        }
        for row, number in enumerate(numbers)
    }
    return [("anger", "joy", "calm")[number] for number in numbers], tokens
