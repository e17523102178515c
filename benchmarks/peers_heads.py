"""Rows of peers.py about training: MERBench's LSTM, scikit-learn's logistic regression."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from peers_pairs import Size, beside
from store import Figure
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from emo import plugins
from emo.heads.head import Batch, Head
from emo.heads.options import FitOptions
from emo.heads.training.loop import train_head
from emo.heads.training.losses import make_loss
from emo.heads.training.steps import Steps
from emo.ragged import Ragged, offsets_of

CLASSES, BATCH = 6, 32
LSTMS = ((30, 300, 768, 128, 1.5), (30, 300, 125, 256, 1.5), (4, 64, 768, 128, 1.2),
         (1, 7, 768, 128, 1.2))  # fmt: skip
"""Fewest and most tokens of a clip, their width, that of the state in each direction, the goal."""
PENALTIES = 11


class PeerLstm(nn.Module):
    """MERBench's encoder of frames (toolkit/models): an LSTM over padded tokens, its last state.

    Here in both directions, as `bilstm` has it; its published form has one.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, hidden, bidirectional=True, batch_first=True)
        self.layers = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(hidden, CLASSES),
        )  # fmt: skip

    def forward(self, padded: Tensor) -> Tensor:
        last = self.lstm(padded)[1][0]  # (2, N, hidden)
        logits: Tensor = self.layers(torch.cat([last[0], last[1]], dim=1))
        return logits


def lstm(size: Size) -> Iterator[Figure]:
    """An epoch each, the same clips in batches of the same size, AdamW, dropout .3.

    Where `bilstm` projects tokens it makes them as wide as the state, or leaves them as wide as
    they are if that is less.
    """
    for fewest, most, dim, hidden, goal in LSTMS:
        random = np.random.default_rng(0)
        lengths = random.integers(fewest, most + 1, size.of(256))
        tokens = torch.randn(int(lengths.sum()), dim)
        labels = torch.from_numpy(random.integers(0, CLASSES, len(lengths)))
        batch = Batch({"s": Ragged(tokens, torch.from_numpy(offsets_of(lengths)))},
                      targets={"emotion": labels})  # fmt: skip
        ours = our_epoch(batch, dim, hidden, most)
        name = f"MERBench's LSTM / bilstm, {fewest}-{most} tokens of {dim}, state {hidden}"
        yield beside(name, peer_epoch(batch, dim, hidden), ours, size, goal)


def our_epoch(batch: Batch, dim: int, hidden: int, longest: int) -> Callable[[], object]:
    words = {"width": min(dim, hidden), "hidden": hidden, "longest": longest}
    options = FitOptions.of(
        head="bilstm", head_options={name: str(value) for name, value in words.items()},
        target="emotion", batch_size=BATCH, epochs=1000,
    )  # fmt: skip
    kind = plugins.load(plugins.HEADS, "bilstm", Head)  # type: ignore[type-abstract]
    own = plugins.parse_options(kind.Options, options.head_options, "bilstm")
    head = kind({"s": dim}, {"emotion": CLASSES}, options=own)
    steps = Steps(head, batch, make_loss(batch, options.loop), options.loop, seed=0)
    return steps.epoch


def peer_epoch(batch: Batch, dim: int, hidden: int) -> Callable[[], object]:
    model = PeerLstm(dim, hidden)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    clips, labels = list(batch.streams["s"]), batch.targets["emotion"]
    random = np.random.default_rng(0)

    def epoch() -> None:
        order = random.permutation(len(clips))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            padded = pad_sequence([clips[k] for k in chosen], batch_first=True)
            loss = nn.functional.cross_entropy(model(padded), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return epoch


def sklearn(size: Size) -> Iterator[Figure]:
    """The path of our penalties against LogisticRegression at each of them, float64 as it is."""
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    clips, dim = size.of(4000), 256
    labels = random.integers(0, CLASSES, clips)
    centres = random.standard_normal((CLASSES, dim))
    rows = (0.3 * centres[labels] + random.standard_normal((clips, dim))).astype(np.float32)
    batch = Batch(
        {"s": Ragged(torch.from_numpy(rows), torch.arange(clips + 1))},
        targets={"emotion": torch.from_numpy(labels)},
    )
    options = FitOptions.of(head="linear", head_options={"std": "no"}, target="emotion")
    kind = plugins.load(plugins.HEADS, "linear", Head)  # type: ignore[type-abstract]
    own = plugins.parse_options(kind.Options, options.head_options, "linear")

    def ours() -> None:
        def build() -> Head:
            return kind({"s": dim}, {"emotion": CLASSES}, options=own)

        with torch.no_grad():
            pooled = build().pool(batch)
        train_head(build, pooled, pooled, options.loop, seed=0)

    def theirs() -> None:
        for penalty in np.logspace(-5, 0, PENALTIES):
            LogisticRegression(C=1 / (penalty * clips), max_iter=1000).fit(rows, labels)

    yield beside(f"scikit-learn / linear, {PENALTIES} penalties, {clips} clips of {dim}", theirs,
                 ours, size, 1.0)  # fmt: skip
