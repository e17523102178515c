"""Video-LLaMA v1: the inputs of its language model, for comparison with earlier work.

It is not recommended for new work: its audio branch was trained on ImageBind *images* only.
(Experiment 001 of the team used it.) Source: DAMO-NLP-SG/Video-LLaMA, Zhang et al. 2023
(arXiv:2306.02858).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from emo.extract.backbone import BackboneCard, Inputs, Prepared
from emo.extract.media import (
    WINDOWS_AT_ONCE,
    FrameRule,
    Media,
    Needs,
    Strided,
    Windows,
    window_starts,
)
from emo.extract.models.model import Forward, Model
from emo.extract.models.rewrite import Changes, changes_by_name
from emo.extract.models.tensor_files.checkpoint import read_config, read_tensors
from emo.extract.models.weights import Found, Weights
from emo.extract.networks.imagebind.inputs import IMAGEBIND_RATE, spectrograms
from emo.extract.networks.videollama.options import VideoLlamaOptions
from emo.extract.networks.videollama.weights import (
    CONFIG,
    FILES,
    TOKENIZER,
    WORDS,
    only,
    projection,
    shard,
    videollama_files,
    word_embeddings,
)
from emo.extract.transforms.kaldi import sinc_resample
from emo.store.recipe import StreamSpec

if TYPE_CHECKING:
    from emo.extract.networks.videollama.network import AudioBranch, VideoBranch

_QUERIES = {"video": 32, "audio": 8}
_WORDS_A_SECOND = 3.3  # tokens (pieces of words) of fluent speech


class VideoLlama(Model):
    """Tokens of Video-LLaMA's branches. Text: the word embeddings of its language model.

    Streams: ``video`` (32, D) and ``audio`` (8, D) for each window, D = 768 (with ``layer=llama``
    5120, or 4096 for 7B); ``text`` (L, 5120), which does not depend on the context of a word.
    """

    Options: ClassVar[type] = VideoLlamaOptions
    options: VideoLlamaOptions
    card: ClassVar[BackboneCard] = BackboneCard(
        source="DAMO-NLP-SG/Video-LLaMA (arXiv:2306.02858)",
        licence="code BSD-3-Clause; weights non-commercial (ImageBind: CC BY-NC-SA 4.0)",
        parameters="1.1 G video, 0.1 G audio",
        streams="video (32, 768), audio (8, 768), text (L, 5120)",
    )

    def __init__(
        self,
        options: VideoLlamaOptions,
        *,
        device: str,
        branches: "Mapping[str, VideoBranch | AudioBranch]",
        words: nn.Embedding | None,
        tokenizer: Tokenizer | None,
    ) -> None:
        """Keep the branches of the selected streams.

        Args:
            options: instance of ``Options``.
            device: device of the branches.
            branches: stream -> its branch.
            words: word embeddings (words, D) on ``device``; None: the text is not selected.
            tokenizer: tokenizer of the language model; None: the text is not selected.
        """
        super().__init__(options, device=device)
        self.branches, self.tokenizer = nn.ModuleDict(branches), tokenizer
        self.text = nn.ModuleDict({} if words is None else {"words": words})

    @classmethod
    def weights(cls, options: VideoLlamaOptions) -> Weights:
        """Return the files of the selected streams, all in one folder."""
        files = [CONFIG]
        for stream in options.parts:
            files += videollama_files(stream, options.weights)
        return Weights("videollama", options.weights, tuple(files))

    @classmethod
    def streams(cls, options: VideoLlamaOptions, found: Found) -> dict[str, StreamSpec]:
        """Return the selected streams; widths are the shapes of projections and word embeddings."""
        specs = {}
        for stream in options.parts:
            if stream == "text":
                width, level = word_embeddings(options.weights, found).shape[1], "word"
            else:
                after, before = projection(found, stream).shape
                width, level = after if options.layer == "llama" else before, "query"
            specs[stream] = StreamSpec(width, options.stored, level=level)
        return specs

    @classmethod
    def stretch_seconds(cls, options: VideoLlamaOptions) -> float | None:
        """Return the length of eight windows; None: the clip is not cut into windows."""
        return WINDOWS_AT_ONCE * options.windows[1] if options.windows else None

    @classmethod
    def build(cls, options: VideoLlamaOptions, found: Found, *, device: str) -> Self:
        """Build the branch of each selected stream from its own files."""
        from emo.extract.networks.videollama.checkpoint import load_branch
        from emo.extract.networks.videollama.published import branch_of, published_number

        config = read_config(path) if (path := found.path("config.json")) else {}
        branches = {}
        for stream in [stream for stream in options.parts if stream in FILES]:
            if found.has_tensors:
                paths = [only(found, file) for file in FILES[stream]]
                branches[stream] = load_branch(stream, paths, config).to(device)
            else:
                with found.building():
                    branches[stream] = branch_of(stream, config)
            branches[stream].check(options.frames, options.size)
        words = tokenizer = None
        if "text" in options.parts:
            if found.has_tensors:
                table = word_embeddings(options.weights, found).float()
            else:
                sizes = [published_number(name, config) for name in ("words", "llama_width")]
                table = torch.empty(sizes, device="meta")
            words = nn.Embedding(len(table), table.shape[1], _weight=table).to(device)
            tokenizer = Tokenizer.from_file(str(only(found, TOKENIZER)))
        return cls(options, device=device, branches=branches, words=words, tokenizer=tokenizer)

    @classmethod
    def write_tiny(cls, folder: Path) -> VideoLlamaOptions:
        """Write small random branches and a language model; return their options."""
        from emo.extract.networks.videollama.tiny import IMAGE, write_branches, write_llama

        write_branches(folder)
        write_llama(folder / "llama-tiny")
        return VideoLlamaOptions(weights=str(folder), frames=3, size=IMAGE)

    @classmethod
    def needs(cls, options: VideoLlamaOptions) -> Needs:
        """Require the inputs of the selected streams: squashed frames, audio, text."""
        has_video = "video" in options.parts
        rule: FrameRule = Strided(options.frames)
        if options.windows:
            rule = Windows(_Exactly(options.frames), *options.windows)
        return Needs(
            frames=rule if has_video else None,
            squash=options.size if has_video else None,
            keep_frames=has_video,
            audio="audio" in options.parts,
            text="text" in options.parts,
        )

    @classmethod
    def tokens(cls, options: VideoLlamaOptions, seconds: float) -> dict[str, float]:
        """Return T of each stream: 32 or 8 tokens per window; the text's T is a guess."""
        windows = len(window_starts(seconds, *options.windows)) if options.windows else 1
        forecast = {stream: float(count * windows) for stream, count in _QUERIES.items()}
        forecast["text"] = _WORDS_A_SECOND * seconds
        return {stream: forecast[stream] for stream in options.parts}

    def prepare(self, media: Media) -> Prepared:
        """Make the inputs of the selected streams, for W windows.

        They are ``video`` uint8 (W, F, size, size, 3), ``audio`` float32 (W, 8, 1, mels, T) and
        ``text`` int64 (1, L).
        """
        made = {
            "video": self._frames(media),
            "audio": self._spectrograms(media),
            "text": self._ids(media),
        }
        wanted = {stream: made[stream] for stream in self.options.parts}
        inputs = {stream: made for stream, made in wanted.items() if made is not None}
        absent = {
            stream: media.absent.get(stream, f"the clip's {stream} is empty")
            for stream in wanted.keys() - inputs.keys()
        }
        return Prepared(inputs, absent)

    def networks(self) -> dict[str, nn.Module]:
        """Return the branches and the word embeddings by stream, all of one folder."""
        every = {**self.branches, **({"text": self.text} if len(self.text) else {})}
        return {"weights": nn.ModuleDict(every)}

    def changes(self, weights: Weights, found: Found) -> dict[Path, Changes]:
        """Return what changed in the files of each branch and in the language model's shard."""
        from emo.extract.networks.videollama.checkpoint import changed_branch

        changes: dict[Path, Changes] = {}
        for stream, branch in self.branches.items():
            paths = [only(found, file) for file in FILES[stream]]
            changes |= changed_branch(branch, paths)
        if len(self.text):
            path = only(found, shard(self.options.weights))
            own = {WORDS: self.text["words"].state_dict()["weight"]}
            changes |= changes_by_name(own, {path: read_tensors(path)})
        return changes

    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Encode each stream for all clips that have it: float32 (T, D) per stream and clip."""
        results: list[dict[str, Tensor]] = [{} for _ in batch]
        for stream in self.options.parts:
            having = [index for index, inputs in enumerate(batch) if stream in inputs]
            clips = [batch[index][stream] for index in having]
            done = self._text(clips) if stream == "text" else self._windows(stream, clips)
            for index, tokens in zip(having, done, strict=True):
                results[index][stream] = tokens.flatten(0, 1)  # (T, D)
        return results

    def _frames(self, media: Media) -> Tensor | None:
        if media.frames is None or not len(media.frames):
            return None
        frames = torch.from_numpy(np.ascontiguousarray(media.frames))
        count = self.options.frames if self.options.windows else len(frames)
        return frames.reshape(-1, count, *frames.shape[1:])

    def _spectrograms(self, media: Media) -> Tensor | None:
        if media.samples is None or media.sample_rate is None or not media.samples.size:
            return None
        samples = sinc_resample(media.samples, media.sample_rate, IMAGEBIND_RATE)  # (channels, S)
        if self.options.windows is None:
            return spectrograms(samples)[None]
        starts = window_starts(samples.shape[1] / IMAGEBIND_RATE, *self.options.windows)
        length = round(self.options.windows[0] * IMAGEBIND_RATE)
        firsts = [round(start * IMAGEBIND_RATE) for start in starts]
        return torch.stack([spectrograms(samples[:, low : low + length]) for low in firsts])

    def _ids(self, media: Media) -> Tensor | None:
        if media.text is None or self.tokenizer is None:
            return None
        ids = self.tokenizer.encode(media.text, add_special_tokens=False).ids
        return torch.tensor([ids]) if ids else None

    def _windows(self, stream: str, clips: Sequence[Tensor]) -> list[Tensor]:
        """Encode the windows of several clips: (W, P, …) of each clip -> (W, queries, D).

        Args:
            stream: ``video`` or ``audio``.
            clips: P frames or spectrograms for each of W windows.
        """
        branch: Any = self.branches[stream]
        pieces = self.run(branch.pieces, [clip.flatten(0, 1) for clip in clips])
        windows = [
            rows.reshape(*clip.shape[:2], *rows.shape[1:])
            for rows, clip in zip(pieces, clips, strict=True)
        ]
        is_projected = self.options.layer == "llama"
        forward: Forward = branch.projected if is_projected else branch.windows
        return self.run(forward, windows)

    def _text(self, clips: Sequence[Tensor]) -> list[Tensor]:
        return self.run(self.text["words"], clips)


@dataclass(frozen=True)
class _Exactly:
    """Select exactly ``count`` frames at equal steps; a window with fewer frames repeats some."""

    count: int
    """Frames to select, F = count."""

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return int64 (count,), indices at equal steps from the first frame on."""
        return np.arange(self.count) * len(seconds) // self.count
