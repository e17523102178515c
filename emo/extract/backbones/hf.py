"""Any model of transformers that reads text, sound, pictures or video, by its own processor.

Source: Wolf et al. 2020 (transformers); the model's own card for each. Tokens equal a direct call
of the transformers class in fp32, except where that would be random: ViT-MAE gets no mask and no
shuffling, CLAP no random cut.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from emo.errors import OptionError, WeightsError
from emo.extract.backbone import Card, Inputs, Prepared
from emo.extract.face_options import FaceModelOptions
from emo.extract.media import (
    WINDOWS_AT_ONCE,
    Linspace,
    Media,
    Needs,
    Uniform,
    Windows,
    window_starts,
)
from emo.extract.model import Model
from emo.extract.networks.hf_inputs import (
    AudioInputs,
    PictureInputs,
    TextInputs,
    picture_of,
    tokens_of,
)  # fmt: skip
from emo.extract.weights import Found, WeightFile, Weights, locate, read_json
from emo.store.recipe import StreamSpec

Kind = Literal["text", "audio", "image", "face", "video", "spectrogram"]
Level = Literal["tokens", "mean", "first", "pooler", "projected"]
STREAMS: dict[Kind, str] = {
    "text": "text", "audio": "audio", "spectrogram": "audio",
    "image": "video", "face": "face", "video": "video",
}  # fmt: skip
TWO_TOWERS = {"clip", "siglip", "siglip2", "clap", "chinese_clip", "altclip", "metaclip_2"}
AUDIO_SECONDS = 30.0
"""Of sound that a model without a length of its own reads at once, when nobody says."""
PICTURE_SECONDS = 10.0
"""Of sound in one log-mel picture."""
_DECLARED_FRAMES = ("num_frames", "frames_per_clip")
_FILES = (
    WeightFile(("config.json",)),
    WeightFile(
        ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin")
    ),
    WeightFile(("*preprocessor_config.json",), is_optional=True),
    WeightFile(("processor_config.json",), is_optional=True),
    WeightFile(("token*.json",), is_optional=True),
    WeightFile(("vocab*",), is_optional=True),
    WeightFile(("merges.txt",), is_optional=True),
    WeightFile(("special_tokens_map.json",), is_optional=True),
    WeightFile(("*.model",), is_optional=True),
    WeightFile(("*.index.json",), is_optional=True),
)


@dataclass(frozen=True, kw_only=True)
class HFOptions(FaceModelOptions):
    """Of :class:`HF`."""

    model: str = field(
        default="FacebookAI/roberta-base", metadata={"help": "hub id, or folder, of the model"}
    )
    input: Literal["auto", "text", "audio", "image", "face", "video", "spectrogram"] = field(
        default="auto",
        metadata={"help": "what it reads; face: crops; spectrogram: log-mel as a picture"},
    )
    level: Literal["auto", "tokens", "mean", "first", "pooler", "projected"] = field(
        default="auto",
        metadata={"help": "tokens of all, or one a text, window or frame; see docs/backbones.md"},
    )
    layers: str = field(
        default="last",
        metadata={"help": "last, mean (of all layers), or numbers to average: -4,-3,-2,-1"},
    )
    frames: int = field(default=8, metadata={"help": "frames a clip for image and face models"})
    face_size: int = field(default=224, metadata={"help": "pixels of a face crop"})
    window_seconds: float | None = field(
        default=None,
        metadata={"help": "of sound (none: 30, or what the model reads) or video (none: the clip)"},
    )
    hop_seconds: float | None = field(
        default=None, metadata={"help": "between windows; none: as window_seconds"}
    )

    def __post_init__(self) -> None:
        """Check the ranges; a model given as a folder is called by its name in the recipe.

        Raises:
            ValueError: an option is out of its range.
        """
        if min(self.frames, self.face_size, self.window_seconds or 1, self.hop_seconds or 1) <= 0:
            raise ValueError(f"expected frames, face_size, window and hop above 0, got {self}")
        self.check_faces()
        layer_numbers(self.layers)
        if Path(self.model).expanduser().is_dir():
            object.__setattr__(self, "weights", self.weights or self.model)
            object.__setattr__(self, "model", Path(self.model).name)


class HF(Model):
    """Any transformers AutoModel: RoBERTa, WavLM, Whisper, CLIP, DINOv2, VideoMAE and so on.

    Streams: by what the model reads: ``text``, ``audio``, ``video`` (frames or windows) or
    ``face``, each (T, D).
    """

    Options: ClassVar[type] = HFOptions
    card: ClassVar[Card] = Card(
        source="https://github.com/huggingface/transformers",
        licence="code Apache-2.0; weights: see the model's card",
        parameters="any",
        streams="text, audio, video or face (T, D)",
    )
    options: HFOptions

    @classmethod
    def weights(cls, options: HFOptions) -> Weights:
        """Configuration, tensors, and what the processors need."""
        return Weights("hf", options.weights or options.model, _FILES)

    @classmethod
    def needs(cls, options: HFOptions) -> Needs:
        """By what the model reads."""
        kind = kind_of(options, _config(options))
        if kind == "text":
            return Needs(text=True)
        if kind in {"audio", "spectrogram"}:
            return Needs(audio=True)
        if kind == "face":
            return Needs(Uniform(options.frames), faces=options.rule(options.face_size))
        if kind == "image":
            return Needs(Uniform(options.frames), keep_frames=True)
        rule = Linspace(frames_of(_config(options)))
        if options.window_seconds is None:
            return Needs(rule, keep_frames=True)
        hop = options.hop_seconds or options.window_seconds
        return Needs(Windows(rule, options.window_seconds, hop), keep_frames=True)

    @classmethod
    def streams(cls, options: HFOptions, found: Found) -> dict[str, StreamSpec]:
        """One stream; its width is in the configuration."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(found.folder, local_files_only=True)
        kind, level = kind_of(options, config.to_dict()), level_of(options, config.to_dict())
        per = {"image": "frame", "face": "frame", "video": "window", "text": "text"}
        unit = per.get(kind, "window") if level != "tokens" else "token"
        dim = width_of(config, kind, level)
        return {STREAMS[kind]: StreamSpec(dim, options.stored, level=unit)}

    @classmethod
    def tokens(cls, options: HFOptions, seconds: float) -> dict[str, float]:
        """Guesses: 20 tokens a text, 50 a second of sound, 1,500 a video window, 200 a picture."""
        config = _config(options)
        kind, is_all = kind_of(options, config), level_of(options, config) == "tokens"
        length = options.window_seconds or {"audio": AUDIO_SECONDS}.get(kind, PICTURE_SECONDS)
        windows = len(window_starts(seconds, length, options.hop_seconds or length))
        if kind == "video" and options.window_seconds is None:
            windows = 1
        each = {"text": 20, "audio": 50 * seconds / windows, "video": 1500}.get(kind, 200)
        units = options.frames if kind in {"image", "face"} else 1 if kind == "text" else windows
        return {STREAMS[kind]: units * (each if is_all else 1)}

    @classmethod
    def stretch_seconds(cls, options: HFOptions) -> float | None:
        """Eight windows of sound, or of video when it comes in windows."""
        kind = kind_of(options, _config(options))
        usual = {"audio": AUDIO_SECONDS, "spectrogram": PICTURE_SECONDS}.get(kind)
        hop = options.hop_seconds or options.window_seconds or usual
        return WINDOWS_AT_ONCE * hop if hop and kind in {"audio", "spectrogram", "video"} else None

    @classmethod
    def build(cls, options: HFOptions, found: Found, *, device: str) -> Self:
        """Load the model by transformers' own loader, from local files only."""
        return cls(options, found, device=device)

    def __init__(self, options: HFOptions, found: Found, *, device: str) -> None:
        """Load model and processor."""
        super().__init__(options, device=device)
        config = read_json(found.get("config.json"))
        self.kind, level = kind_of(options, config), level_of(options, config)
        self.network, self._has_pooler = _network(found.folder, config, level)
        self.network.to(self.device)
        readers = {"text": TextInputs, "audio": AudioInputs}
        self.reader: Any = readers.get(self.kind, PictureInputs)(found.folder, config)
        self._forward = self._forward_of(str(config["model_type"]), level)
        self._is_whisper = config["model_type"] == "whisper"
        self._frames = frames_of(config) if self.kind == "video" else 1

    @classmethod
    def write_tiny(cls, folder: Path) -> HFOptions:
        """A BERT of two layers that reads letters."""
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
        """Run the model's processor."""
        stream = STREAMS[self.kind]
        if self.kind == "text":
            return self._made(media.text and self.reader.rows(media.text), media, "text", stream)
        if self.kind in {"audio", "spectrogram"}:
            return self._made(self._heard(media), media, "audio", stream)
        if self.kind == "face":
            faces = media.faces
            rows = None if faces is None else [self.reader.frames(faces.crops)]
            notes = {} if faces is None else {"face_share": float(faces.found.mean())}
            return self._made(rows, media, "face", stream, notes)
        if media.frames is None:
            return self._made(None, media, "video", stream)
        if self.kind == "image":
            return self._made([self.reader.frames(media.frames)], media, "video", stream)
        windows = media.frames.reshape(-1, self._frames, *media.frames.shape[1:])
        return self._made([self.reader.video(each) for each in windows], media, "video", stream)

    def _heard(self, media: Media) -> list[Any] | None:
        if media.samples is None or media.sample_rate is None:
            return None
        window, hop = self.options.window_seconds, self.options.hop_seconds
        if self.kind == "audio":
            rows, heard = self.reader.rows(
                media.samples, media.sample_rate, window or AUDIO_SECONDS, hop
            )
            return list(zip(rows, heard, strict=True)) if self._is_whisper else rows
        length = window or PICTURE_SECONDS
        starts = window_starts(media.samples.shape[1] / media.sample_rate, length, hop or length)
        pieces = (
            media.samples[:, round(low * media.sample_rate) :][
                :, : round(length * media.sample_rate)
            ]
            for low in starts
        )
        return [self.reader.frames(picture_of(piece, media.sample_rate)[None]) for piece in pieces]

    def _made(
        self, rows: list[Any] | str | None, media: Media, wanted: str, stream: str,
        notes: Mapping[str, float] = {},
    ) -> Prepared:  # fmt: skip
        if not rows:
            return Prepared({}, {stream: media.absent.get(wanted, f"no {wanted}")})
        return Prepared({"rows": rows}, notes=dict(notes))

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Rows of one shape of all clips go through the model together."""
        owners = [index for index, inputs in enumerate(batch) for _ in inputs["rows"]]
        rows = [row for inputs in batch for row in inputs["rows"]]
        heard: list[float | None] = [None] * len(rows)
        if self._is_whisper:
            rows, heard = [row for row, _ in rows], [seconds for _, seconds in rows]
        found: list[list[np.ndarray]] = [[] for _ in batch]
        for owner, tokens, seconds in zip(
            owners, self.run(self._forward, rows), heard, strict=True
        ):
            if seconds is not None and tokens.shape[1] > 1:  # drop what the 30 s were filled with
                tokens = tokens[:, : max(1, round(seconds * 50))]
            found[owner].append(tokens_of(tokens))
        return [{STREAMS[self.kind]: np.concatenate(parts)} for parts in found]

    def _forward_of(self, model_type: str, level: Level) -> Callable[..., Tensor]:
        """Rows of inputs -> (n, t, D)."""
        call = _call_of(self.network, self.kind, model_type)
        numbers = layer_numbers(self.options.layers)

        def forward(*rows: Tensor) -> Any:
            out = call(*rows, output_hidden_states=numbers is not None)
            if level == "projected":
                return out.pooler_output[:, None]
            if numbers is None and level == "pooler":
                if out.get("pooler_output") is not None and self._has_pooler:
                    return out.pooler_output[:, None]
                return _flat(out.last_hidden_state).mean(1, keepdim=True)
            tokens = _flat(out.last_hidden_state) if numbers is None else _mixed(out, numbers)
            if level == "tokens":
                return tokens
            return tokens[:, :1] if level == "first" else tokens.mean(1, keepdim=True)

        return forward


def kind_of(options: HFOptions, config: Mapping[str, Any]) -> Kind:
    """What the model reads: as asked, else by its type."""
    if options.input != "auto":
        return options.input
    from transformers.models.auto import modeling_auto as auto

    name = config.get("model_type")
    if name in auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES:
        return "video"
    if name == "clap" or name in auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES:
        return "audio"
    if name in TWO_TOWERS or name in auto.MODEL_FOR_IMAGE_MAPPING_NAMES:
        return "image"
    return "image" if name in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES else "text"


def level_of(options: HFOptions, config: Mapping[str, Any]) -> Level:
    """What is kept: as asked, else the usual of such models.

    Raises:
        OptionError: a projection of a model that has none.
    """
    is_two = config.get("model_type") in TWO_TOWERS
    if options.level == "projected" and not is_two:
        raise OptionError(f"hf.level=projected: {config.get('model_type')} has no projection")
    if options.level != "auto":
        return options.level
    if is_two:
        return "projected"
    is_sequence = kind_of(options, config) in {"text", "audio"}
    is_spectral = config.get("model_type") == "audio-spectrogram-transformer"
    return "tokens" if is_sequence and not is_spectral else "pooler"


def frames_of(config: Mapping[str, Any]) -> int:
    """Frames that a video model reads at once."""
    return next((int(config[name]) for name in _DECLARED_FRAMES if config.get(name)), 16)


def layer_numbers(layers: str) -> tuple[int, ...] | None:
    """``last`` -> None; ``mean`` -> (); ``-2,-1`` -> (-2, -1).

    Raises:
        ValueError: something else.
    """
    if layers == "last":
        return None
    if layers == "mean":
        return ()
    try:
        return tuple(int(word) for word in str(layers).split(","))
    except ValueError:
        raise ValueError(
            f"layers: expected last, mean or numbers such as -2,-1; got {layers!r}"
        ) from None


def width_of(config: Any, kind: Kind, level: Level) -> int:
    """D, from the configuration.

    Raises:
        WeightsError: the configuration does not say.
    """
    tower = {"text": "text_config", "audio": "audio_config"}.get(kind, "vision_config")
    part = getattr(config, tower, None) or config
    if level == "projected":
        known = getattr(config, "projection_dim", None) or getattr(part, "projection_size", None)
        if known and config.model_type not in {"siglip", "siglip2"}:
            return int(known)
    for name in ("hidden_size", "d_model", "embed_dim", "hidden_dim"):
        if isinstance(getattr(part, name, None), int):
            return int(getattr(part, name))
    if getattr(part, "hidden_sizes", None):
        return int(part.hidden_sizes[-1])
    raise WeightsError(f"hf: the configuration of {config.model_type} does not tell its width")


def _config(options: HFOptions) -> dict[str, Any]:
    found = locate(HF.weights(options))
    return _read_config(found.get("config.json"))


@lru_cache(maxsize=32)
def _read_config(path: Path) -> dict[str, Any]:
    return read_json(path)


def _network(folder: Path, config: Mapping[str, Any], level: Level) -> tuple[torch.nn.Module, bool]:
    """The model in eval mode, and whether its pooler came with weights.

    Raises:
        WeightsError: a tensor is missing, or transformers cannot load the files.
    """
    from transformers import AutoModel

    _quiet()
    extra = {"mask_ratio": 0.0} if config.get("model_type") == "vit_mae" else {}
    try:
        network, info = AutoModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True, **extra
        )
    except Exception as error:  # transformers raises what it likes
        raise WeightsError(f"{folder}: {str(error).splitlines()[0]}") from error
    missing = sorted(info["missing_keys"])
    lacking = [name for name in missing if "pooler" not in name]
    if lacking or (missing and level == "projected"):
        raise WeightsError(f"{folder}: the tensor {(lacking or missing)[0]!r} is missing")
    if getattr(network.config, "is_encoder_decoder", False):
        network = network.get_encoder()
    return network.eval(), not missing


def _quiet() -> None:
    """No bars and tables of transformers between ours; what is missing becomes an error here."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def _call_of(network: Any, kind: Kind, model_type: str) -> Callable[..., Any]:
    """The part of the model that reads ``kind``, under the names of its arguments."""
    if model_type == "vit_mae":
        patches = (network.config.image_size // network.config.patch_size) ** 2

        def unshuffled(pixels: Tensor, **more: Any) -> Any:
            order = torch.arange(patches, device=pixels.device, dtype=torch.float32)
            return network(pixels, noise=order.expand(len(pixels), -1), **more)

        return unshuffled
    if model_type == "vjepa2":
        return lambda pixels, **more: network(pixels, skip_predictor=True, **more)
    if model_type in TWO_TOWERS:
        return _tower_of(network, kind)
    return network  # type: ignore[no-any-return]


def _tower_of(network: Any, kind: Kind) -> Callable[..., Any]:
    if kind == "text":
        return network.get_text_features  # type: ignore[no-any-return]
    if kind == "audio":

        def heard(features: Tensor, **more: Any) -> Any:
            longer = torch.zeros(len(features), 1, dtype=torch.bool, device=features.device)
            return network.get_audio_features(features, is_longer=longer, **more)

        return heard

    def seen(pixels: Tensor, shapes: Tensor | None = None, **more: Any) -> Any:
        if shapes is None:
            return network.get_image_features(pixels, **more)
        mask = torch.ones(pixels.shape[:2], dtype=torch.int32, device=pixels.device)
        return network.get_image_features(pixels, mask, shapes, **more)

    return seen


def _flat(hidden: Tensor) -> Tensor:
    """(n, t, D) as it is; the (n, D, H, W) of convolutional models -> (n, H · W, D)."""
    return hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden


def _mixed(out: Any, numbers: tuple[int, ...]) -> Tensor:
    """The mean of some layers' outputs; of none named: of all but the embeddings."""
    every = out.hidden_states
    chosen = [every[number] for number in numbers] if numbers else list(every[1:])
    return torch.stack([_flat(hidden) for hidden in chosen]).mean(0)
