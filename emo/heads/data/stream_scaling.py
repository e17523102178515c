"""Scale the tokens of all streams of a fit: as `--scaling` says, else fitted on ``train``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from emo import plugins
from emo.errors import FitError
from emo.heads.data.load import LabelledClips
from emo.heads.data.scaling import Scaling, fit_scaling, requested_scaling
from emo.heads.data.speaker_scaling import SpeakerScaling
from emo.heads.data.speakers import BY_SPEAKER, Speakers
from emo.heads.data.streams import StreamSource
from emo.heads.options import FitOptions
from emo.ragged import Ragged


def requested_scalings(sources: Sequence[StreamSource], options: FitOptions) -> dict[str, Scaling]:
    """Return the scalings of ``--scaling`` that need no clips, by stream.

    Other streams are standardised; those that are scaled by speaker before are among them.

    Raises:
        FitError: an unknown stream, or a scaling that the stream cannot have.
    """
    known = {source.name: source for source in sources}
    found = {}
    for name, words in options.scaling.items():
        if name not in known:
            raise FitError(plugins.unknown("stream of --scaling", name, known))
        if words == BY_SPEAKER:
            continue
        source, stream = known[name], known[name].parts.stream
        logit_scale = source.recipe.facts.get("logit_scale", {}).get(stream)
        try:
            found[name] = requested_scaling(words, source.spec.dim, logit_scale)
        except ValueError as error:
            raise FitError(f"--scaling {name}={words}: {error}") from error
    return found


def fit_stream_scaling(loaded: LabelledClips, source: StreamSource, train: np.ndarray) -> Scaling:
    """Fit the scaling of a stream on the rows of train, by speaker first where it is requested."""
    tokens = loaded.tokens[source.name].subset(train)
    if loaded.speakers is None or source.name not in loaded.speakers.statistics:
        return fit_scaling(tokens, source.spec.kind)
    names = loaded.speakers.select(train).names
    by_speaker = SpeakerScaling.fit(tokens, names)
    freed = by_speaker.apply(tokens, names, loaded.speakers.statistics[source.name])
    return replace(fit_scaling(freed, source.spec.kind), by_speaker=by_speaker)


def scale_streams(
    tokens: Mapping[str, Ragged],
    scalings: Mapping[str, Scaling],
    speakers: Speakers | None = None,
) -> dict[str, Ragged]:
    """Scale stored tokens of each stream of ``scalings``, in that order.

    Args:
        tokens: stored tokens by stream, numpy (ΣT, D) of any dtype.
        scalings: scaling of each stream.
        speakers: speakers of the same clips; None: none is known.

    Returns:
        Scaled tokens by stream, torch float32 (ΣT, D).
    """
    names = speakers.names if speakers else ()
    own = speakers.statistics if speakers else {}
    return {
        name: scaling.apply(tokens[name], names, own.get(name))
        for name, scaling in scalings.items()
    }
