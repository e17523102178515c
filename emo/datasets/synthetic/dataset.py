"""Write the synthetic data set of `emo demo`, which needs no download.

Its clips are one photograph warped into four expressions and six speakers, speech without words,
and template sentences. It shows that the pipeline works; it says nothing about real emotions. In
each modality, three clips of four show their label, independently of the other modalities, so that
a fusion of modalities can be better than each alone.
"""

import csv
import json
import multiprocessing
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emo.datasets.synthetic.clip import FRAME_RATE, write_clip
from emo.datasets.synthetic.expression import act
from emo.datasets.synthetic.face import render
from emo.datasets.synthetic.looks import LOOKS, MOODS
from emo.datasets.synthetic.plan import CLASSES, SPEAKERS, PlannedClip, plan_clips, shuffled_labels
from emo.datasets.synthetic.speech import SAMPLE_RATE, Speech, speak
from emo.datasets.synthetic.text import sentence
from emo.datasets.synthetic.voices import MANNERS, VOICES
from emo.errors import EmoError
from emo.machine.untrusted.documents import parse_checked
from emo.machine.untrusted.files import read_regular
from emo.machine.whole_file import whole_file

VERSION = 1
"""Version of the synthetic clips; raised when a change of the code changes their bytes."""
SPEAKER_SPLITS = ("train", "train", "train", "train", "val", "test")
"""Split of each speaker, in order; the demo rotates them."""
OWN_NAME = re.compile(r"synthetic-s\d-\d+\.mp4")
"""File names of synthetic clips."""
README = """# A synthetic data set

Made by `emo demo`: no person said, felt or showed any of this. The face is one photograph (NASA,
public domain, from scikit-image) under {classes} warps and six disguises; the speech is
synthesised and has no words; the sentences are templates. `manifest.csv` holds the clips, and in
`shown_face`, `shown_audio` and `shown_text` the class that each modality shows: the label in three
clips of four. `manifest-shuffled.csv`, when it is there, has the labels permuted within speakers.
"""


def write_dataset(
    folder: Path,
    *,
    seed: int = 0,
    clips_per_class_and_speaker: int = 10,
    shuffle_labels: bool = False,
    workers: int | None = None,
    progress: bool | None = None,
) -> Path:
    """Write the synthetic clips and their manifest; clips that are there already are kept.

    Args:
        folder: folder for ``clips/``, ``manifest.csv`` and a README; made when missing.
        seed: seed of all random choices; the same seed gives the same bytes.
        clips_per_class_and_speaker: number of clips; 10 make 240 clips in all.
        shuffle_labels: write ``manifest-shuffled.csv`` instead, with permuted labels of the same
            clips.
        workers: processes; None: one for each processor.
        progress: show a bar on stderr; None: when stderr is a terminal.

    Returns:
        The path of the manifest.

    Raises:
        EmoError: ``folder/clips`` holds files that are not of this data set; they are kept.
    """
    clips = plan_clips(seed, clips_per_class_and_speaker)
    marker = {"version": VERSION, "seed": seed, "clips": len(clips)}
    if not is_complete(folder, clips, marker):
        _write_clips(folder, clips, seed, workers, progress)
        _write(folder / "README.md", README.format(classes=len(CLASSES)))
        _write(folder / "synthetic.json", json.dumps(marker))
    labels = shuffled_labels(clips, seed) if shuffle_labels else [clip.label for clip in clips]
    name = "manifest-shuffled.csv" if shuffle_labels else "manifest.csv"
    return _write_manifest(folder / name, clips, labels, seed)


def render_clip(clip: PlannedClip, seed: int) -> tuple[Iterator[np.ndarray], Speech, str]:
    """Return the frames, each uint8 (256, 256, 3) RGB, the speech and the sentence of a clip."""
    rng = clip.generator(seed)
    text = sentence(rng, clip.text)
    frames = int(rng.integers(2 * FRAME_RATE, 3 * FRAME_RATE + 1))  # 2 to 3 seconds
    speech = speak(rng, VOICES[clip.speaker], MANNERS[CLASSES[clip.audio]], frames / FRAME_RATE)
    seconds = np.arange(frames) / FRAME_RATE
    opening = speech.envelope[np.round(seconds * SAMPLE_RATE).astype(int)]
    expression = act(rng, clip.face, seconds)
    look, mood = LOOKS[clip.speaker], MOODS[CLASSES[clip.face]]
    return render(rng, look, expression, opening, mood), speech, text


def render_to(clip: PlannedClip, *, folder: Path, seed: int) -> None:
    """Render one clip and write it as ``folder/<id>.mp4``."""
    frames, speech, _ = render_clip(clip, seed)
    write_clip(folder / f"{clip.id}.mp4", frames, speech.samples)


def is_complete(folder: Path, clips: Sequence[PlannedClip], marker: Mapping[str, int]) -> bool:
    """Return whether a folder holds all planned clips, made with this version, seed and number.

    Args:
        folder: folder of the data set.
        clips: the planned clips.
        marker: expected contents of ``synthetic.json``.
    """
    try:
        kept = read_regular(folder / "synthetic.json", most_bytes=10**6, follow_links=True)
        if parse_checked(kept) != marker:
            return False
    except (OSError, ValueError):
        return False
    return all((folder / "clips" / f"{clip.id}.mp4").is_file() for clip in clips)


def _write_clips(
    folder: Path,
    clips: Sequence[PlannedClip],
    seed: int,
    workers: int | None,
    progress: bool | None,
) -> None:
    """Render all clips into a temporary folder, and rename it to ``clips/`` when it is complete."""
    target, unfinished = folder / "clips", folder / "clips.unfinished"
    _refuse_other_files(target)
    (folder / "synthetic.json").unlink(missing_ok=True)
    for old in (target, unfinished):
        shutil.rmtree(old, ignore_errors=True)
    unfinished.mkdir(parents=True)
    work = partial(render_to, folder=unfinished, seed=seed)
    hide = None if progress is None else not progress
    bar = partial(tqdm, total=len(clips), desc="synthetic clips", unit="clip", disable=hide)
    workers = min(workers or os.cpu_count() or 1, len(clips) // 8)  # 8 clips: a process's start
    if workers > 1:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            list(bar(pool.map(work, clips, chunksize=2)))
    else:
        list(bar(map(work, clips)))
    unfinished.rename(target)


def _refuse_other_files(clips: Path) -> None:
    """Raise EmoError when a folder holds anything but synthetic clips."""
    if not clips.exists():
        return
    others = [path.name for path in clips.iterdir() if not OWN_NAME.fullmatch(path.name)]
    if others:
        named = ", ".join(sorted(others)[:3])
        raise EmoError(
            f"{clips} holds {len(others)} files that are not synthetic clips ({named}); "
            "choose another folder, since emo demo replaces the files in this one"
        )


def _write_manifest(
    path: Path, clips: Sequence[PlannedClip], labels: Sequence[int], seed: int
) -> Path:
    """Write the manifest of the clips, with the given labels; it appears whole."""
    with (
        whole_file(path, EmoError) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        shown = ("shown_face", "shown_audio", "shown_text")
        table.writerow(("id", "video", "text", "label", "speaker", "split", *shown))
        for clip, label in zip(clips, labels, strict=True):
            text = sentence(clip.generator(seed), clip.text)  # as in render_clip: drawn first
            row = (clip.id, f"clips/{clip.id}.mp4", text, CLASSES[label], SPEAKERS[clip.speaker])
            classes = (CLASSES[shown] for shown in (clip.face, clip.audio, clip.text))
            table.writerow((*row, SPEAKER_SPLITS[clip.speaker], *classes))
    return path


def _write(path: Path, text: str) -> None:
    """Write a text file that appears whole."""
    with whole_file(path, EmoError) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
