"""`emo demo`: run the whole pipeline on synthetic clips: extract, fit-head, predict.

`emo/cli.py` has its options and imports this file when the command runs.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from emo.datasets.synthetic.dataset import write_dataset
from emo.errors import EmoError
from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.metrics.classes import scores
from emo.machine.table import format_table, shown
from emo.manifest import Manifest, read_manifest
from emo.predict.one_clip import predict_file
from emo.report.options import ReportOptions
from emo.report.write import write_report
from emo.store.store import Store

STREAMS_OF_MODALITY = {
    "face": ("classic/face",),
    "audio": ("classic/audio",),
    "text": ("classic/text",),
    "fused": ("classic/face", "classic/audio", "classic/text"),
}
"""Name of a row in the demo's table -> streams that the head of the row reads."""
HEAD = "linear"
"""Name of the head that the demo fits."""


@dataclass(frozen=True)
class Rotation:
    """Predictions for the clips of one speaker who was held out, or of all speakers in turn."""

    labels: list[str]
    predictions: list[str]
    seconds: float
    """Seconds that fitting took."""

    @property
    def scores(self) -> dict[str, float]:
        """Weighted F1, macro F1, UAR and accuracy."""
        return scores(self.labels, self.predictions)


def rotations(manifest: Manifest, features: Path, options: FitOptions) -> list[Rotation]:
    """Fit a head with one speaker left out, for each speaker; the next one is the val split.

    Args:
        manifest: the clips.
        features: the store with their tokens.
        options: head and streams.

    Returns:
        The predictions for each speaker.
    """
    speakers = sorted({clip.speaker for clip in manifest.clips if clip.speaker})
    rounds = []
    for index, test in enumerate(speakers):
        names = {test: "test", speakers[(index + 1) % len(speakers)]: "val"}
        clips = tuple(
            replace(clip, split=names.get(clip.speaker or "", "train")) for clip in manifest.clips
        )
        rotated = replace(manifest, clips=clips)
        result = fit_head(rotated, [features], None, options, progress=False)
        table = result.predictions[result.predictions["split"] == "test"]
        rounds.append(
            Rotation(table["label"].tolist(), table["prediction"].tolist(), result.seconds)
        )
    return rounds


def pooled_rotations(rounds: Sequence[Rotation]) -> Rotation:
    """Return the predictions of all rotations, one held-out speaker each, as one."""
    return Rotation(
        [label for one in rounds for label in one.labels],
        [prediction for one in rounds for prediction in one.predictions],
        sum(one.seconds for one in rounds),
    )


def run_demo(out: Path, *, seed: int, clips: int, workers: int) -> str:
    """Make the synthetic clips, extract, fit and predict; return the report as text.

    Args:
        out: folder for everything; clips and tokens that are there already are kept.
        seed: seed of the clips.
        clips: clips for each class and speaker.
        workers: processes that extract.

    Raises:
        EmoError: some of the synthetic clips could not be extracted.
    """
    made = "made here, not emotions of real people"
    print(shown(f"synthetic clips in {out / 'data'} ({made})"), flush=True)
    path = write_dataset(out / "data", seed=seed, clips_per_class_and_speaker=clips)
    manifest = read_manifest(path)
    features = out / "features"
    options = ExtractOptions(workers=workers)
    report = extract(manifest, features, requests_from_words(["classic"]), options)
    if report.exit_code:
        raise EmoError(f"the demo's extraction ended with {report.exit_code}: {report.failures}")
    store = Store(features)
    return "\n".join(
        [
            f"{len(manifest.clips)} clips extracted; a face in {face_share(store):.1%} of frames",
            "",
            "leave one speaker out, all rotations pooled, synthetic data:",
            format_table(rotation_rows(manifest, features)),
            "",
            *_one_run(manifest, features, out),
            "",
            *write_demo_report(out),
        ]
    )


def write_demo_report(out: Path) -> list[str]:
    """Write the page of the demo's run, and return lines that say where it is.

    The clips are synthetic, so that the page may show what they hold.

    Args:
        out: folder of the demo.
    """
    started, page = time.monotonic(), out / "report.html"
    options = ReportOptions(
        title="emo demo: synthetic clips", features=(str(out / "features"),), cards=8,
        media=("words", "frames"),
    )  # fmt: skip
    write_report([out / "runs" / "fused"], page, options)
    seconds = time.monotonic() - started
    return [f"its report, built in {seconds:.1f} s; open it in a browser:",
            page.absolute().as_uri()]  # fmt: skip


def face_share(store: Store) -> float:
    """Return the share of frames in which MTCNN found a face, averaged over all clips."""
    notes = store.recipes["classic"].notes.values()
    return fmean(note["face_share"] for note in notes)


def rotation_rows(manifest: Manifest, features: Path) -> list[dict[str, object]]:
    """Return a table row of scores for each modality, and one for all of them fused."""
    rows: list[dict[str, object]] = []
    for name, streams in STREAMS_OF_MODALITY.items():
        together = pooled_rotations(
            rotations(manifest, features, FitOptions(head=HEAD, streams=streams))
        )
        rows.append({"streams": name, **together.scores, "seconds": together.seconds})
    return rows


def _one_run(manifest: Manifest, features: Path, out: Path) -> Sequence[str]:
    """Fit a run with all streams, predict a test clip, and return the lines of the two results."""
    run = out / "runs" / "fused"
    options = FitOptions(head="attention_pool", streams=STREAMS_OF_MODALITY["fused"], seeds=2)
    result = fit_head(manifest, [features], run, options)
    clip = next(clip for clip in manifest.clips if clip.split == "test")
    assert clip.video
    prediction = predict_file(run, manifest.media_path(clip.video), clip.text)
    return [
        "emo fit-head, all streams fused, the manifest's own split:",
        result.table(),
        "",
        f"emo predict {run} {clip.video} --text {clip.text!r} (labelled {clip.targets['label']}):",
        prediction.table(),
        "",
        f"plots: {run / 'confusion.png'} and {run / 'curves.png'}",
    ]
