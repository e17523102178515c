"""Run any model of transformers that reads text, sound, pictures or video, with its own processor.

Source: Wolf et al. 2020 (transformers), and each model's own card. In fp32 the tokens equal a
direct call of the transformers class, except where that call is random: ViT-MAE gets no mask and
no shuffling, CLAP no random crop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from emo.errors import OptionError
from emo.extract.backbone import BackboneCard, Inputs, Prepared
from emo.extract.media import (
    WINDOWS_AT_ONCE,
    Linspace,
    Media,
    Needs,
    Uniform,
    Windows,
    window_starts,
)
from emo.extract.models.model import BasePart, Model
from emo.extract.models.rewrite import check_merged, write_layout
from emo.extract.models.skeleton import locate_configs, tensor_paths
from emo.extract.models.tensor_files.checkpoint import read_config
from emo.extract.models.weights import Found, Weights, locate_weights
from emo.extract.networks.hf.files import HF_FILES
from emo.extract.networks.hf.inputs import reader_of
from emo.extract.networks.hf.kinds import Kind, kind_of, level_of, video_frames, width_of
from emo.extract.networks.hf.layers import EACH, Layers, layers_of_streams
from emo.extract.networks.hf.models import call_of, empty_network, forward_of, load_network
from emo.extract.networks.hf.options import HFOptions
from emo.extract.networks.hf.processors import ModelInput, load_processor
from emo.extract.networks.hf.rewrite import base_part_of, network_changes
from emo.extract.networks.hf.spaces import facts_of_model, text_options_of
from emo.extract.networks.log_mel_picture import PICTURE_RATE, PICTURE_SECONDS, pictures_of
from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.trim import check_trim, trimmed
from emo.store.recipe import StreamSpec

STREAM_OF_KIND: dict[Kind, str] = {
    "text": "text", "audio": "audio", "spectrogram": "audio",
    "image": "video", "face": "face", "video": "video",
}  # fmt: skip
"""What the model reads -> the stream's name."""
AUDIO_SECONDS = 30.0
"""Default length of a window of sound for models without a fixed length."""


class HF(Model):
    """Any AutoModel of transformers. RoBERTa, WavLM, Whisper, CLIP, DINOv2, VideoMAE and so on.

    Streams: one, named after what the model reads: ``text``, ``audio``, ``video`` (frames or
    windows) or ``face``, (T, D); with ``layers=each`` one a layer: ``audio-0``, ``audio-1`` …
    """

    Options: ClassVar[type] = HFOptions
    card: ClassVar[BackboneCard] = BackboneCard(
        source="https://github.com/huggingface/transformers",
        licence="code Apache-2.0; weights: see the model's card",
        parameters="any",
        streams="text, audio, video or face (T, D); layers=each: audio-0, audio-1 …",
    )
    options: HFOptions
    version: ClassVar[int] = 3  # 2: texts and sound as documented; 3: as Model's 2

    @classmethod
    def weights(cls, options: HFOptions) -> Weights:
        """Return the configuration, the tensors and the files of the processors."""
        return Weights("hf", options.weights or options.model, HF_FILES)

    @classmethod
    def needs(cls, options: HFOptions) -> Needs:
        """Require text, audio, frames or faces, whichever the model reads."""
        kind = kind_of(options.input, _config(options))
        if kind == "text":
            return Needs(text=True)
        if kind in {"audio", "spectrogram"}:
            return Needs(audio=True)
        if kind == "face":
            return Needs(Uniform(options.frames), faces=options.rule(options.face_size))
        if kind == "image":
            return Needs(Uniform(options.frames), keep_frames=True)
        rule = Linspace(video_frames(_config(options)))
        if options.window_seconds is None:
            return Needs(rule, keep_frames=True)
        hop = options.hop_seconds or options.window_seconds
        return Needs(Windows(rule, options.window_seconds, hop), keep_frames=True)

    @classmethod
    def streams(cls, options: HFOptions, found: Found) -> dict[str, StreamSpec]:
        """Return the stream, or one a layer; number and width are in the configuration."""
        from transformers import AutoConfig

        config = load_processor(AutoConfig, found.folder)
        kind = kind_of(options.input, config.to_dict())
        if options.trim != "none" and STREAM_OF_KIND[kind] != "audio":
            raise OptionError(f"hf.trim={options.trim}: this model reads {kind}, not sound")
        check_trim(options.trim)
        if options.window == "clip" and config.model_type != "whisper":
            raise OptionError(
                f"hf.window=clip: a model of type {config.model_type} is not padded to a fixed "
                "length; only the encoders of Whisper are; leave window out"
            )
        level = level_of(options.level, kind, config.to_dict(), options.layers)
        per = {"image": "frame", "face": "frame", "video": "window", "text": "text"}
        unit = per.get(kind, "window") if level != "tokens" else "token"
        dim = width_of(config, kind, level)
        names = layers_of_streams(options.layers, STREAM_OF_KIND[kind], config, kind)
        return dict.fromkeys(names, StreamSpec(dim, options.stored, level=unit))

    @classmethod
    def text_options(cls, options: HFOptions) -> HFOptions | None:
        """Return the options that read texts: of the second tower, or of a model of texts.

        None: the model reads no texts, or its tokens are not those of the common projection.
        """
        return text_options_of(options, _config(options))

    @classmethod
    def facts(cls, options: HFOptions, found: Found) -> dict[str, Any]:
        """Return the spaces of streams that can be compared with texts, and the logit scale."""
        config = read_config(found.get("config.json"))
        return facts_of_model(options, found, config, list(cls.streams(options, found)))

    @classmethod
    def tokens(cls, options: HFOptions, seconds: float) -> dict[str, float]:
        """Return the expected number of tokens T of a clip in each stream.

        The number assumes 20 tokens per text, 50 per second of sound, 1,500 per video window and
        200 per picture.
        """
        config = _config(options)
        kind = kind_of(options.input, config)
        is_all = level_of(options.level, kind, config) == "tokens"
        length = options.window_seconds or {"audio": AUDIO_SECONDS}.get(kind, PICTURE_SECONDS)
        windows = len(window_starts(seconds, length, options.hop_seconds or length))
        if kind == "video" and options.window_seconds is None:
            windows = 1
        each = {"text": 20, "audio": 50 * seconds / windows, "video": 1500}.get(kind, 200)
        units = options.frames if kind in {"image", "face"} else 1 if kind == "text" else windows
        return dict.fromkeys(_layers(options, kind), units * (each if is_all else 1))

    @classmethod
    def stretch_seconds(cls, options: HFOptions) -> float | None:
        """Return the length of eight windows of sound or video; None for other inputs, and where
        sound is trimmed, which must be done to the whole clip."""
        if options.trim != "none":
            return None
        kind = kind_of(options.input, _config(options))
        usual = {"audio": AUDIO_SECONDS, "spectrogram": PICTURE_SECONDS}.get(kind)
        hop = options.hop_seconds or options.window_seconds or usual
        return WINDOWS_AT_ONCE * hop if hop and kind in {"audio", "spectrogram", "video"} else None

    @classmethod
    def build(cls, options: HFOptions, found: Found, *, device: str) -> Self:
        """Load the model and its processor with transformers, from local files only."""
        return cls(options, found, device=device)

    def __init__(self, options: HFOptions, found: Found, *, device: str) -> None:
        """Load the model and its processor.

        Args:
            options: instance of ``Options``.
            found: the weight files.
            device: for the model.
        """
        super().__init__(options, device=device)
        config = read_config(found.get("config.json"))
        self.kind = kind_of(options.input, config)
        self._level = level_of(options.level, self.kind, config)
        if found.has_tensors:
            network, has_pooler = load_network(found.folder, config, self._level)
        else:
            network, has_pooler = empty_network(found.folder, config), True
        self.network = network.to(self.device)
        is_cut = options.window == "clip"
        call = call_of(self.network, self.kind, str(config["model_type"]), is_cut=is_cut)
        self.reader: Any = reader_of(
            self.kind, found.folder, config, call.names, self.network, is_cut=is_cut
        )
        self._layers = _layers(options, self.kind)
        self._forward = forward_of(
            call, self._level, layers=list(self._layers.values()), has_pooler=has_pooler
        )
        self._frames = video_frames(config) if self.kind == "video" else 1

    @classmethod
    def write_tiny(cls, folder: Path) -> HFOptions:
        """Write a BERT of two layers that reads letters; return its options."""
        from tokenizers import Tokenizer, models, pre_tokenizers, processors
        from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

        letters = [chr(code) for code in range(32, 127)]
        vocabulary = {
            word: k for k, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters])
        }
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
            sep_token="[SEP]", model_max_length=64,
        ).save_pretrained(folder)  # fmt: skip
        config = BertConfig(
            vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=64,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
        return HFOptions(model="tiny-bert", weights=str(folder))

    def prepare(self, media: Media) -> Prepared:
        """Run the model's processor on the text, each window of sound or video, or each image."""
        if self.kind == "text":
            pieces = self.reader.inputs(media.text) if media.text else []
            notes = {"text_pieces": float(len(pieces))} if len(pieces) > 1 else {}
            return self._made(pieces, media, "text", notes)
        if self.kind in {"audio", "spectrogram"}:
            media, notes = self._trimmed(media)
            return self._made(self._audio_rows(media), media, "audio", notes)
        if self.kind == "face":
            faces = media.faces
            rows = None if faces is None else [self.reader.frames(faces.crops)]
            notes = {} if faces is None else {"face_share": float(faces.found.mean())}
            return self._made(rows, media, "face", notes)
        if media.frames is None:
            return self._made(None, media, "video")
        if self.kind == "image":
            return self._made([self.reader.frames(media.frames)], media, "video")
        windows = media.frames.reshape(-1, self._frames, *media.frames.shape[1:])
        return self._made([self.reader.video(each) for each in windows], media, "video")

    def _trimmed(self, media: Media) -> tuple[Media, dict[str, float]]:
        """Trim a clip's sound, mixed to one channel at the model's rate; return both."""
        if self.options.trim == "none" or media.samples is None or media.sample_rate is None:
            return media, {}
        rate = self.reader.sample_rate if self.kind == "audio" else PICTURE_RATE
        mono = resample_audio(to_mono(media.samples), media.sample_rate, rate)
        kept, notes = trimmed(mono, rate, self.options.trim)
        return replace(media, samples=kept[None], sample_rate=rate), notes

    def _audio_rows(self, media: Media) -> list[Any] | None:
        """Make the model's input for each window of sound; None: the clip has no audio."""
        if media.samples is None or media.sample_rate is None:
            return None
        window, hop = self.options.window_seconds, self.options.hop_seconds
        if self.kind == "audio":
            made: list[ModelInput] = self.reader.inputs(
                media.samples, media.sample_rate, window or AUDIO_SECONDS, hop
            )
            return made
        pictures = pictures_of(media.samples, media.sample_rate, window, hop)
        return [self.reader.frames(picture[None]) for picture in pictures]

    def _made(
        self, rows: list[Any] | None, media: Media, wanted: str, notes: Mapping[str, float] = {}
    ) -> Prepared:
        """Wrap the rows of a clip; without rows its streams are absent because ``wanted`` is."""
        if not rows:
            return Prepared(
                {}, dict.fromkeys(self._layers, media.absent.get(wanted, f"no {wanted}"))
            )
        return Prepared({"rows": rows}, notes=dict(notes))

    def networks(self) -> dict[str, nn.Module]:
        """Return the only network."""
        return {"weights": self.network}

    def part_of_base(self, option: str) -> BasePart:
        """Return the class that ``AutoModel`` builds, and the name of the encoder in it."""
        folder = locate_configs(self.weights(self.options)).folder
        return base_part_of(folder, _config(self.options))

    def write(self, folder: Path) -> dict[str, Path]:
        """Write the weights in the layout of the base's files, with the heads that it has."""
        check_merged(self.network.state_dict())
        weights = self.weights(self.options)
        found = locate_weights(weights)
        folder.mkdir(parents=True, exist_ok=True)
        files = tensor_paths(weights, found)
        changes = network_changes(self.network, found.folder, files, folder)
        return write_layout(weights, found, folder, changes)

    @classmethod
    def plain_inputs(cls, inputs: Inputs) -> dict[str, Any]:
        """Return the rows as dicts of tensors."""
        return {"rows": [{"tensors": one.tensors, "own": one.own} for one in inputs["rows"]]}

    @classmethod
    def inputs_of(cls, plain: Inputs) -> Inputs:
        """Return the rows as inputs of the model."""
        return {"rows": [ModelInput(**one) for one in plain["rows"]]}

    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Run the rows of all clips through the model together: float32 (T, D) for each clip."""
        made: list[ModelInput] = [one for inputs in batch for one in inputs.get("rows", ())]
        names = tuple(made[0].rows) if made else ()
        if not self.has_values:  # transformers looks at the values of masks
            names = tuple(name for name in names if not name.endswith("attention_mask"))

        def forward(*tensors: Tensor) -> Tensor:
            return self._forward(**dict(zip(names, tensors, strict=True)))

        outputs = iter(self.run(forward, [tuple(one.rows[name] for name in names) for one in made]))
        return [
            self._tokens(inputs["rows"], list(islice(outputs, len(inputs["rows"]))))
            if inputs
            else {}
            for inputs in batch
        ]

    def _tokens(self, rows: Sequence[ModelInput], outputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Join the outputs (n, streams, t, D) of a clip's rows: float32 (T, D) for each stream."""
        is_cut = self._level == "tokens"
        return {
            stream: torch.cat(
                [
                    row.tokens_of(output[:, index], is_cut=is_cut)
                    for row, output in zip(rows, outputs, strict=True)
                ]
            )
            for index, stream in enumerate(self._layers)
        }


def _config(options: HFOptions) -> dict[str, Any]:
    found = locate_configs(HF.weights(options))
    return _read_config(found.get("config.json"))


@lru_cache(maxsize=32)
def _read_config(path: Path) -> dict[str, Any]:
    return read_config(path)


def _layers(options: HFOptions, kind: Kind) -> dict[str, Layers]:
    """Return the streams and the layers in each, from the configuration files."""
    folder = locate_configs(HF.weights(options)).folder if options.layers == EACH else None
    return _read_layers(options.layers, kind, folder)


@lru_cache(maxsize=32)
def _read_layers(layers: str, kind: Kind, folder: Path | None) -> dict[str, Layers]:
    from transformers import AutoConfig

    config = folder and load_processor(AutoConfig, folder)
    return layers_of_streams(layers, STREAM_OF_KIND[kind], config, kind)
