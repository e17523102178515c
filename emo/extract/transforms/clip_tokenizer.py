"""CLIP's tokenizer: text to ids of byte pairs, equal to the original code with ftfy.

Source: openai/CLIP simple_tokenizer.py; the pipeline of transformers' CLIPTokenizer.
"""

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import RobertaProcessing

from emo.errors import WeightsError
from emo.machine.untrusted.documents import MOST_DOCUMENT_BYTES, read_checked, shortened
from emo.machine.untrusted.files import read_regular
from emo.machine.untrusted.kinds import MapOf, Where

START, END = "<|startoftext|>", "<|endoftext|>"
VOCABULARY = Where(
    MapOf(Where(int, lambda number: 0 <= number < 2**31, "the number of a word")),
    lambda numbers: {START, END} <= numbers.keys(),
    f"an object with {START} and {END}",
)
"""What vocab.json must be."""
_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


class ClipTokenizer:
    """Repair a text (ftfy), split it into byte pairs, and cut or pad it to a fixed length."""

    def __init__(self, vocabulary: Path, merges: Path, length: int = 77) -> None:
        """Read the tokenizer's files.

        Args:
            vocabulary: vocab.json of the weights.
            merges: merges.txt of the weights.
            length: number of ids of each text, start and end included.

        Raises:
            WeightsError: a file cannot be read, or is no such file.
        """
        numbers: dict[str, int] = read_checked(vocabulary, VOCABULARY, error=WeightsError)
        try:
            data = read_regular(merges, most_bytes=MOST_DOCUMENT_BYTES, follow_links=True)
            lines = data.decode("utf-8").split("\n")
            words = [line.split() for line in lines if line and not line.startswith("#version")]
            self._tokenizer = _pipeline(numbers, [(first, second) for first, second in words])
        except Exception as error:  # the library raises Exception itself
            raise WeightsError(
                f"{merges} is no list of merges for {vocabulary}: {shortened(str(error))}"
            ) from error
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding(length=length, pad_id=numbers[END], pad_token=END)

    def __call__(self, text: str) -> tuple[list[int], int]:
        """Return ``length`` ids, padded with ``END``, and how many of them are not padding."""
        import ftfy

        encoded = self._tokenizer.encode(ftfy.fix_text(text))
        return encoded.ids, sum(encoded.attention_mask)


def _pipeline(numbers: dict[str, int], pairs: list[tuple[str, ...]]) -> Tokenizer:
    model = BPE(numbers, pairs, end_of_word_suffix="</w>", unk_token=END)  # type: ignore[arg-type]
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.post_processor = RobertaProcessing(
        (END, numbers[END]), (START, numbers[START]), add_prefix_space=False
    )
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in (START, END)])
    return tokenizer
