"""Scaling by speaker: each token is centred and divided with the statistics of its speaker.

It comes before the usual scaling of a stream. It reads all clips of a speaker, those of ``test``
too, but no label: scores are then transductive. A speaker of few clips has unsure statistics, so
they are mixed with those of the training clips; without any clip, only these count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emo.heads.data.token_statistics import (
    LEAST_DEVIATION,
    ROWS,
    SMALLEST_DEVIATION,
    finite_statistics,
    token_chunks,
)
from emo.ragged import Ragged

MEAN_CLIPS = 2
"""Number of clips from which a speaker's own mean counts as much as that of the training clips."""
VARIANCE_CLIPS = 10
"""Number of clips from which a speaker's own variance counts as much as that of the training
clips."""


@dataclass(frozen=True, eq=False)
class SpeakerStatistics:
    """Mean and variance of the tokens of each of S speakers in one stream."""

    rows: dict[str, int]
    """Name of a speaker -> its row, from 0 to S - 1."""
    clips: np.ndarray
    """int64 (S,): number of the speaker's clips that have tokens, at least 1."""
    tokens: np.ndarray
    """int64 (S,): number of tokens of these clips."""
    means: np.ndarray
    """float64 (S, D): mean of the speaker's tokens."""
    variances: np.ndarray
    """float64 (S, D): mean squared distance of the speaker's tokens from their mean."""

    @classmethod
    def of(cls, tokens: Ragged, names: Sequence[str]) -> "SpeakerStatistics":
        """Compute the statistics of each speaker.

        Args:
            tokens: stored tokens of N clips, numpy (ΣT, D) of any dtype.
            names: speaker of each of the N clips; ``""``: not known, the clip is left out.
        """
        clips: dict[str, list[int]] = {}
        for row in np.flatnonzero(tokens.lengths > 0).tolist():
            if names[row]:
                clips.setdefault(names[row], []).append(row)
        found = [finite_statistics(tokens.select(rows).values) for rows in clips.values()]
        shape = (len(clips), tokens.width)
        return cls(
            {name: row for row, name in enumerate(clips)},
            np.array([len(rows) for rows in clips.values()], dtype=np.int64),
            np.array([tokens.lengths[rows].sum() for rows in clips.values()], dtype=np.int64),
            np.array([mean for mean, _ in found]).reshape(shape),
            np.square(np.array([deviation for _, deviation in found]).reshape(shape)),
        )


@dataclass(frozen=True, eq=False)
class SpeakerScaling:
    """The training clips' part of scaling one stream by speaker; a run keeps it."""

    mean: Tensor
    """float32 (D,): mean of all training tokens."""
    deviation: Tensor
    """float32 (D,): standard deviation of the training tokens around the mean of their speaker."""

    @classmethod
    def fit(cls, tokens: Ragged, names: Sequence[str]) -> "SpeakerScaling":
        """Fit on the clips of the training split.

        The deviation is that within speakers of two tokens or more; without any such speaker, it
        is that of all tokens.

        Args:
            tokens: stored tokens of N clips, numpy (ΣT, D) of any dtype.
            names: speaker of each clip; ``""``: not known.
        """
        mean, deviation = finite_statistics(tokens.values)
        own = SpeakerStatistics.of(tokens, names)
        several = own.tokens > 1
        if several.any():
            shares = own.tokens[several] / own.tokens[several].sum()
            deviation = np.sqrt(shares @ own.variances[several])
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(deviation).float())

    def apply(
        self, tokens: Ragged, names: Sequence[str] = (), own: SpeakerStatistics | None = None
    ) -> Ragged:
        """Centre and divide stored tokens: numpy (ΣT, D) of any dtype -> numpy float32 (ΣT, D).

        Of a speaker with n clips the mean is ``n / (n + 2)`` parts its own and the rest that of
        train, the variance ``n / (n + 10)`` parts its own and the rest that of train within
        speakers. A dimension that is constant within the speakers of train becomes 0.

        Args:
            tokens: stored tokens of N clips.
            names: speaker of each clip; empty: no speaker is known.
            own: statistics of the speakers; a speaker that is not in them is scaled with the
                numbers of train, like a clip without a speaker. None: no speaker is in them.
        """
        rows = own.rows if own is not None else {}
        # the last row of both tables holds the numbers of train
        groups = [rows.get(name, len(rows)) for name in names] or [len(rows)] * len(tokens)
        means, factors = self._tables(own)
        group = torch.from_numpy(np.repeat(np.array(groups, dtype=np.int64), tokens.lengths))
        values = np.empty(tokens.values.shape, np.float32)
        chunks = zip(
            token_chunks(tokens.values),
            torch.split(group, ROWS),
            torch.split(torch.from_numpy(values), ROWS),
            strict=False,
        )
        for chunk, of_chunk, scaled in chunks:
            torch.sub(chunk, means[of_chunk], out=scaled).mul_(factors[of_chunk])
        return Ragged(values, tokens.offsets)

    def _tables(self, own: SpeakerStatistics | None) -> tuple[Tensor, Tensor]:
        """Return what is subtracted and the factor, float32 (S + 1, D) each; train's come last."""
        mean, deviation = self.mean.double().numpy(), self.deviation.double().numpy()
        means, variances = mean[None], np.square(deviation)[None]
        if own is not None:
            clips = own.clips[:, None]
            part = clips / (clips + MEAN_CLIPS)
            means = np.concatenate([part * own.means + (1 - part) * mean, means])
            part = clips / (clips + VARIANCE_CLIPS)
            mixed = part * own.variances + (1 - part) * np.square(deviation)
            variances = np.concatenate([mixed, variances])
        varies = deviation > np.maximum(LEAST_DEVIATION * np.abs(mean), SMALLEST_DEVIATION)
        factors = np.where(varies, 1 / np.sqrt(np.where(varies, variances, 1)), 0.0)
        return torch.from_numpy(means).float(), torch.from_numpy(factors).float()
