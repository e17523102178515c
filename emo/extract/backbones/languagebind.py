"""LanguageBind: video, audio, images and text in one embedding space, aligned with language.

Source: Zhu et al. 2024 (arXiv:2310.01852); code and weights PKU-YuanGroup/LanguageBind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from emo.errors import WeightsError
from emo.extract.backbone import BackboneCard, Inputs, Prepared
from emo.extract.media import (
    WINDOWS_AT_ONCE,
    FrameRule,
    Linspace,
    Media,
    Needs,
    Windows,
    window_starts,
)
from emo.extract.models.model import Model
from emo.extract.models.rewrite import Changes
from emo.extract.models.skeleton import locate_configs, tensor_paths
from emo.extract.models.spaces import space_of_projection
from emo.extract.models.weights import Found, WeightFile, Weights
from emo.extract.networks.languagebind.checkpoint import (
    TOKENIZER_FILES,
    Config,
    checkpoint,
    languagebind_files,
    read_all,
    read_configs,
    read_one,
    text_tower,
    vision_tower,
)
from emo.extract.networks.languagebind.inputs import audio_pixels, frame_pixels
from emo.extract.networks.languagebind.network import TextTower, VisionTower
from emo.extract.networks.languagebind.options import OPTION_OF, LanguageBindOptions
from emo.extract.networks.languagebind.rewrite import changed_repository, forget_adapters
from emo.extract.transforms.clip_tokenizer import ClipTokenizer
from emo.extract.transforms.kaldi import sinc_resample
from emo.extract.transforms.words_read import words_lacking
from emo.store.recipe import StreamSpec

_IMAGES = 8  # frames per clip for the image tower, when no video tower fixes the number
_TEXT_TOKENS_A_SECOND = 3.3


class LanguageBind(Model):
    """LanguageBind's joint embeddings. All modalities share their space; they are not normalised.

    The original normalises them and scales all but the text by exp(logit_scale). The recipe's facts
    contain the scales, so that a reader of the tokens can do it.

    Streams: ``video``, ``audio`` (windows, D), ``image`` (frames, D), ``text`` (1, D); D is 768,
    for Huge 1024.
    """

    Options: ClassVar[type] = LanguageBindOptions
    options: LanguageBindOptions
    card: ClassVar[BackboneCard] = BackboneCard(
        source="PKU-YuanGroup/LanguageBind (arXiv:2310.01852)",
        licence="MIT; its training data (VIDAL-10M) non-commercial: CC BY-NC 4.0",
        parameters="0.4 G video, 0.3 G audio, 0.1 G text",
        streams="video (1, 768), audio (1, 768), text (1, 768)",
    )

    def __init__(
        self,
        options: LanguageBindOptions,
        *,
        device: str,
        configs: Mapping[str, Config],
        towers: Mapping[str, VisionTower],
        text: TextTower | None,
        tokenizer: ClipTokenizer | None,
    ) -> None:
        """Keep the towers of the selected streams.

        Args:
            options: instance of ``Options``.
            device: device of the towers.
            configs: stream -> configuration of its tower.
            towers: video, audio or image -> its tower.
            text: the text tower; None: the text is not selected.
            tokenizer: the tokenizer; None: the text is not selected.
        """
        super().__init__(options, device=device)
        self.configs, self.tokenizer = configs, tokenizer
        self.towers, self.text = nn.ModuleDict(dict(towers)), text

    @classmethod
    def weights(cls, options: LanguageBindOptions) -> Weights:
        """Return the files of the selected streams, each repository under its own option."""
        files: dict[WeightFile, None] = {}
        for stream in options.parts:
            option = OPTION_OF[stream]
            source = getattr(options, option)
            for names in languagebind_files(stream):
                files[WeightFile(names, source=source, option=option)] = None
        return Weights("languagebind", options.weights, tuple(files))

    @classmethod
    def streams(cls, options: LanguageBindOptions, found: Found) -> dict[str, StreamSpec]:
        """Return the selected streams with the widths of the configurations.

        Raises:
            WeightsError: the towers do not share one space.
        """
        configs = read_configs(options, found)
        specs = {}
        for stream in options.parts:
            sizes = configs[stream].sizes("text_config" if stream == "text" else "vision_config")
            dim = sizes.projected if options.level == "pooled" else sizes.dim
            specs[stream] = StreamSpec(dim, options.stored, level=_level_of(stream, options))
        return specs

    @classmethod
    def text_options(cls, options: LanguageBindOptions) -> LanguageBindOptions | None:
        """Return the options with the stream ``text`` alone; None: the tokens are not projected."""
        return replace(options, streams="text") if options.level == "pooled" else None

    @classmethod
    def facts(cls, options: LanguageBindOptions, found: Found) -> dict[str, Any]:
        """Return the logit scales of the towers, the spaces of projected tokens, and which crops of
        the spectrogram are used.
        """
        scales, spaces = {}, {}
        for stream in options.parts:
            paths = checkpoint(found, OPTION_OF[stream])
            scales[stream] = float(read_one(paths, "logit_scale"))
            if options.level == "pooled":
                projection = read_one(paths, "text_projection.weight")
                spaces[stream] = space_of_projection("languagebind", projection)
        crops = {"audio_crops": "middle of each third"} if "audio" in options.parts else {}
        return {
            "logit_scale": scales, "probability": "softmax",
            **({"space": spaces} if spaces else {}), **crops,
        }  # fmt: skip

    @classmethod
    def stretch_seconds(cls, options: LanguageBindOptions) -> float | None:
        """Return the length of eight windows; None: the clip is not cut into windows."""
        return WINDOWS_AT_ONCE * options.windows[1] if options.windows else None

    @classmethod
    def build(cls, options: LanguageBindOptions, found: Found, *, device: str) -> Self:
        """Build the towers of the selected streams; each repository is read once."""
        configs = read_configs(options, found)
        towers: dict[str, VisionTower] = {}
        text, tokenizer = None, None
        for option in dict.fromkeys(OPTION_OF[stream] for stream in options.parts):
            paths = checkpoint(found, option) if found.has_tensors else ()
            tensors = read_all(paths) if found.has_tensors else None
            where = ", ".join(map(str, paths))
            for stream in options.parts:
                if OPTION_OF[stream] == option and stream != "text":
                    with found.building():
                        tower = vision_tower(configs[stream], tensors, where)
                    towers[stream] = tower.to(device)
                elif OPTION_OF[stream] == option:
                    with found.building():
                        text = text_tower(configs[stream], tensors, where)
                    text = text.to(device)
                    vocabulary, merges = (found.get(name) for name in TOKENIZER_FILES)
                    tokenizer = ClipTokenizer(vocabulary, merges, text.length)
        return cls(
            options, device=device, configs=configs, towers=towers, text=text, tokenizer=tokenizer
        )

    @classmethod
    def needs(cls, options: LanguageBindOptions) -> Needs:
        """Require as many frames per window as the video tower takes, audio and text.

        Raises:
            WeightsError: the video and the image tower take pictures of different sizes.
        """
        audio, text = "audio" in options.parts, "text" in options.parts
        if not options.pictures:
            return Needs(audio=audio, text=text)
        configs = read_configs(options, locate_configs(cls.weights(options)))
        rule: FrameRule = Linspace(_frames_of(configs))
        if options.windows:
            rule = Windows(rule, *options.windows)
        sides = {configs[stream].picture.height for stream in options.pictures}
        if len(sides) > 1:
            raise WeightsError(
                f"languagebind: the video and image towers differ in picture size: {sides}"
            )
        transform = partial(frame_pixels, size=sides.pop(), kinds=tuple(options.pictures))
        return Needs(frames=rule, keep_frames=True, transform=transform, audio=audio, text=text)

    @classmethod
    def tokens(cls, options: LanguageBindOptions, seconds: float) -> dict[str, float]:
        """Return T of each stream, proportional to the windows; the text's T is a guess."""
        configs = read_configs(options, locate_configs(cls.weights(options)))
        windows = len(window_starts(seconds, *options.windows)) if options.windows else 1
        frames = _frames_of(configs)
        expected = {}
        for stream in options.parts:
            rows = {"video": frames, "image": frames}.get(stream, 1) * windows
            if stream == "text":
                count = 2 + _TEXT_TOKENS_A_SECOND * seconds if options.level == "tokens" else 1.0
            elif options.level == "tokens":
                count = float(rows * configs[stream].picture.tokens)
            else:
                is_mean = options.level == "pooled" and stream == "video"
                count = float(windows if is_mean else rows)
            expected[stream] = count
        return expected

    def prepare(self, media: Media) -> Prepared:
        """Make the inputs of the selected towers.

        They are float32 ``video`` (windows, F, 3, H, W), ``image`` (frames, 1, 3, H, W), ``audio``
        (windows, 1, 3, bands, length) and int64 ``text`` (1, L). The note ``words_lacking`` counts
        the words of a text that is longer than the model reads.
        """
        made = {**self._frames(media), "audio": self._sound(media), "text": self._ids(media)}
        parts = self.options.parts
        inputs = {name: made[name] for name in parts if made.get(name) is not None}
        reasons = {"text": "the text has no words", **media.absent}
        reasons["image"] = reasons.get("video", "the clip has no video")
        lacking = [name for name in parts if name not in inputs]
        absent = {name: reasons.get(name, f"the clip has no {name}") for name in lacking}
        return Prepared(inputs, absent, self._notes(media) if "text" in inputs else {})

    def networks(self) -> dict[str, nn.Module]:
        """Return the towers by the option of their repository; a repository may hold several."""
        found: dict[str, nn.ModuleDict] = {}
        for stream in self.options.parts:
            towers = found.setdefault(OPTION_OF[stream], nn.ModuleDict())
            towers[stream] = self._tower(stream)
        return dict(found)

    def write(self, folder: Path) -> dict[str, Path]:
        """Write each repository; without adapters ``config.json`` says so: ``lora_r`` is 0."""
        written = super().write(folder)
        for target in written.values():
            forget_adapters(target)
        return written

    def changes(self, weights: Weights, found: Found) -> dict[Path, Changes]:
        """Return what changed in each repository; LoRA adapters are merged if anything did."""
        every: dict[Path, Changes] = {}
        for option, network in self.networks().items():
            paths = tensor_paths(weights, found, option)
            config = next(self.configs[name] for name in self.configs if OPTION_OF[name] == option)
            every |= changed_repository(network, paths, config)
        return every

    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Run each tower on the windows of all clips: float32 (T, D) per stream and clip."""
        results: list[dict[str, Tensor]] = [{} for _ in batch]
        for stream in self.options.parts:
            forward = (
                self._encode_text if stream == "text" else partial(self._encode_vision, stream)
            )
            for index, tokens in self.run_having(forward, batch, stream):
                if stream == "text" and self.options.level == "tokens":
                    own = batch[index][stream]
                    tokens = tokens[:, : int(own.argmax()) + 1]  # without padding
                results[index][stream] = tokens.flatten(0, -2)
        return results

    def _tower(self, stream: str) -> nn.Module:
        """Return the tower of a selected stream."""
        if stream != "text":
            return self.towers[stream]
        assert self.text is not None
        return self.text

    def _encode_vision(self, stream: str, pixels: Tensor) -> Tensor:
        """Run a vision tower on (n, F, 3, H, W) up to the selected level."""
        tower = self.towers[stream]
        assert isinstance(tower, VisionTower)
        tokens = tower.tokens(pixels)
        if self.options.level == "tokens":
            return tokens
        frames = tower.frames(tokens)
        return frames if self.options.level == "frames" else tower.pooled(frames)

    def _encode_text(self, ids: Tensor) -> Tensor:
        """Run the text tower on ids (n, L) up to the selected level."""
        assert self.text is not None
        tokens = self.text.tokens(ids)
        if self.options.level == "tokens":
            return tokens
        last = self.text.last(tokens, ids)
        return last if self.options.level == "frames" else self.text.pooled(last)

    def _frames(self, media: Media) -> dict[str, Tensor]:
        """Split the frames by tower and window: float32 (windows, F, 3, H, W) for each tower."""
        if media.frames is None or not len(media.frames):
            return {}
        frames = torch.from_numpy(media.frames)  # (windows * F, kinds, 3, H, W)
        found = dict(zip(self.options.pictures, frames.unbind(1), strict=True))
        count = _frames_of(self.configs)
        sides = frames.shape[2:]
        shapes = {"video": (-1, count, *sides), "image": (-1, 1, *sides)}
        return {name: pixels.reshape(shapes[name]) for name, pixels in found.items()}

    def _sound(self, media: Media) -> Tensor | None:
        """Make the audio tower's pictures, float32 (windows, 1, 3, bands, length)."""
        if "audio" not in self.options.parts or media.samples is None or not media.samples.size:
            return None
        assert media.sample_rate is not None
        sound = self.configs["audio"].sound
        samples = sinc_resample(media.samples, media.sample_rate, sound.sample_rate)
        if self.options.windows is None:
            return torch.from_numpy(audio_pixels(samples, sound))[None, None]
        seconds = window_starts(samples.shape[1] / sound.sample_rate, *self.options.windows)
        length = round(self.options.windows[0] * sound.sample_rate)
        firsts = [round(start * sound.sample_rate) for start in seconds]
        pieces = [audio_pixels(samples[:, first : first + length], sound) for first in firsts]
        return torch.from_numpy(np.stack(pieces))[:, None]

    def _notes(self, media: Media) -> dict[str, float]:
        assert self.tokenizer is not None
        assert media.text is not None
        ids_of = self.tokenizer
        count = words_lacking(lambda text: ids_of(text)[0], media.text)
        return {"words_lacking": float(count)} if count else {}

    def _ids(self, media: Media) -> Tensor | None:
        if self.tokenizer is None or media.text is None or not media.text.strip():
            return None
        return torch.tensor([self.tokenizer(media.text)[0]])

    @classmethod
    def write_tiny(cls, folder: Path) -> LanguageBindOptions:
        """Write two repositories, video (with LoRA) and text, and audio; return the options."""
        from emo.extract.networks.languagebind.tiny import write_repository

        for stream in ("video", "audio"):
            write_repository(folder / stream, stream)
        return LanguageBindOptions(
            weights=str(folder / "video"), audio_weights=str(folder / "audio")
        )


def _frames_of(configs: Mapping[str, Config]) -> int:
    """Return the number of frames per clip or window."""
    return configs["video"].sizes("vision_config").frames if "video" in configs else _IMAGES


def _level_of(stream: str, options: LanguageBindOptions) -> str:
    """Return what one token of a stream stands for, for ``StreamSpec.level``."""
    if stream == "text":
        return "word" if options.level == "tokens" else "clip"
    if options.level == "tokens":
        return "patch"
    if stream == "image" or (stream == "video" and options.level == "frames"):
        return "frame"
    return "window" if options.windows else "clip"
