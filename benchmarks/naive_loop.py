"""The other side of benchmarks/extract.py: clip after clip, as each library's page shows it.

Loaded once, on all cores; emo's are only the choice and the cut of the face among MTCNN's boxes.
"""

from pathlib import Path

import av
import librosa
import numpy as np
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from transformers import AutoImageProcessor, AutoModel

from emo.extract.faces.tracks import main_face
from emo.extract.media import FaceRule

NO_FACE = (np.zeros((0, 4)), np.zeros(0))


class NaiveLoop:
    def __init__(self, vggface: Path, vit: Path, frames: int) -> None:
        self.frames, self.mtcnn = frames, MTCNN(keep_all=True).eval()
        self.face_net = InceptionResnetV1(pretrained=None).eval()
        state = {name: value.float() for name, value in torch.load(vggface).items()}
        self.face_net.load_state_dict(state, strict=False)
        self.processor = AutoImageProcessor.from_pretrained(vit)
        self.vit = AutoModel.from_pretrained(vit).eval()

    @torch.inference_mode()
    def __call__(self, path: Path) -> dict[str, np.ndarray]:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            decoded = list(container.decode(video=0))
        chosen = np.linspace(0, len(decoded) - 1, self.frames).round().astype(int)
        images = np.stack([decoded[k].to_ndarray(format="rgb24") for k in chosen])
        images = np.rot90(images, round(decoded[0].rotation / 90), (1, 2)).copy()
        found = [
            NO_FACE if boxes is None else (np.float32(boxes), np.float32(scores))
            for boxes, scores in zip(*self.mtcnn.detect(images), strict=True)
        ]
        seconds = np.array([decoded[k].time for k in chosen])
        crops = torch.from_numpy(main_face(images, seconds, found, FaceRule()).crops)
        pixels = self.processor(images=list(images), return_tensors="pt")
        return {
            "vggface": self.face_net((crops.permute(0, 3, 1, 2).float() - 127.5) / 128).numpy(),
            "hf": self.vit(**pixels).pooler_output.numpy(),
            "logmel": self.log_mel(path),
        }

    def log_mel(self, path: Path) -> np.ndarray:
        floats = av.AudioResampler(format="fltp")
        with av.open(str(path)) as container:
            pieces = [p for frame in container.decode(audio=0) for p in floats.resample(frame)]
        whole = np.concatenate([piece.to_ndarray() for piece in pieces], axis=1).mean(0)
        samples = librosa.resample(whole, orig_sr=pieces[0].rate, target_sr=16000)
        sizes = dict(sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=64)
        mel = librosa.feature.melspectrogram(y=samples, **sizes)
        return librosa.power_to_db(mel, top_db=None).T
