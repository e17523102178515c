"""Limits of the service: sizes, seconds, and how many requests are in hand."""

from dataclasses import dataclass, fields

from emo.errors import OptionError

MIB = 2**20
MOST_BATCH = 16
"""Most requests that go through the models together."""


@dataclass(frozen=True)
class ServiceLimits:
    """What a request may take, and how many are in hand at once."""

    queue: int = 64
    """Requests in hand at once, from the first byte of the body to the answer; more get 429."""
    batch: int = MOST_BATCH
    """Most requests that go through the models together."""
    upload_bytes: int = 64 * MIB
    """Most bytes of a file, uploaded or behind a URL."""
    text_letters: int = 20_000
    """Most letters of a text."""
    media_seconds: float = 600.0
    """Longest clip, as the headers of its file declare it."""
    clip_bytes: int = 512 * MIB
    """Bytes of decoded pictures and sound that one clip may hold at once."""
    upload_seconds: float = 30.0
    """Seconds within which the body of a request must arrive."""
    decode_seconds: float = 30.0
    """Seconds that decoding one file may take; then its process is killed."""
    answer_seconds: float = 60.0
    """Seconds from the end of the body to the answer; then the answer is 504."""
    connections: int = 512
    """Connections that are open at once; one more closes the one that waited longest."""
    header_seconds: float = 10.0
    """Seconds within which the head of a request must arrive."""
    decoders: int = 2
    """Processes that decode, one file each at a time."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            OptionError: one is not above zero, or the batch is too large.
        """
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise OptionError(
                    f"{each.name}: expected a number above 0, got {getattr(self, each.name)}"
                )
        if self.batch > MOST_BATCH:
            raise OptionError(f"--batch {self.batch}: expected 1 to {MOST_BATCH}")


class RequestError(Exception):
    """A request that gets no prediction: a status of HTTP and one plain sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        """Keep status and sentence."""
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
