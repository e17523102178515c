"""video_features: a folder of v-iashin/video_features as it is: STEM_rgb.npy, STEM_fps.npy …

Source: v-iashin/video_features, utils/utils.py (make_path) and models/*/extract_*.py.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.store.exchange.clip_folder import check_folder
from emo.store.exchange.contents import Contents
from emo.store.exchange.format import Format
from emo.store.exchange.per_clip import ClipArray, npy_file, streams_of_clips

_FACTS = ("fps", "timestamps_ms")
_KEYS = (
    "rgb", "flow", "raft", "pwc", "vggish", "r21d", "s3d", "resnet", "clip", "timm", "i3d",
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
)  # fmt: skip
"""Ends of the names of files that hold features."""


@dataclass(frozen=True)
class VideoFeaturesOptions:
    """Options for reading the folder."""

    keys: str | None = field(
        default=None,
        metadata={"help": "Ends of names that are features, such as rgb,flow; default: those of "
                  "its models."},
    )  # fmt: skip


class VideoFeatures(Format):
    """STEM_KEY.npy (T, D): STEM is the clip, KEY the stream; fps is kept, times are checked."""

    extension = ""
    can_write = False
    ReadOptions = VideoFeaturesOptions

    @contextmanager
    def read(self, path: Path, options: VideoFeaturesOptions) -> Iterator[Contents]:
        """Find the clips by the names of the files, in sub-folders, too."""
        if not path.is_dir():
            raise StoreError(f"{path}: expected a folder that video_features wrote")
        check_folder(path)
        budget = self.budget(path)
        keys = options.keys.split(",") if options.keys else list(_KEYS)
        names = "|".join(map(re.escape, sorted(keys, key=len, reverse=True)))
        pattern = re.compile(rf"(.+)_({names}|fps|timestamps_ms)\.npy")
        streams: dict[str, dict[str, ClipArray]] = {}
        facts: dict[str, dict[str, tuple[Path, str]]] = {name: {} for name in _FACTS}
        others = []
        for file in sorted(path.rglob("*")):
            found = pattern.fullmatch(file.name)
            if found is None:
                others += [file.name] if file.is_file() else []
            elif found[2] in _FACTS:
                facts[found[2]][found[1]] = file, str(file.parent)
            elif found[1] in streams.setdefault(found[2], {}):
                first = streams[found[2]][found[1]].where
                raise StoreError(
                    f"{file}: clip {found[1]!r} has {found[2]} in {first}, too; import the folder "
                    "of one model at a time"
                )
            else:
                streams[found[2]][found[1]] = npy_file(file, budget)
        if not streams:
            raise StoreError(
                f"{path}: no file is called STEM_{'.npy, STEM_'.join(keys[:3])}.npy …; name others "
                "with -o keys=…"
            )
        ids = list(dict.fromkeys(i for found in streams.values() for i in found))
        lines = ["ids: names of the files without _KEY.npy", *_check_times(facts, streams, budget)]
        if others:
            lines.append(f"other files, left out: {len(others):,}, such as {others[0]}")
        yield Contents(
            ids,
            streams_of_clips(streams, ids, {}),
            notes=_notes(facts, ids, budget),
            lines=tuple(lines),
        )


def _check_times(
    facts: dict[str, dict[str, tuple[Path, str]]],
    streams: dict[str, dict[str, ClipArray]],
    budget: Budget,
) -> list[str]:
    """Hold the times against the tokens; a file that was cut off differs."""
    for clip_id, (file, _) in facts["timestamps_ms"].items():
        count = npy_file(file, budget).dim
        for name, found in streams.items():
            if clip_id in found and name not in ("flow", "rgb") and found[clip_id].tokens != count:
                raise StoreError(
                    f"{found[clip_id].where}: {found[clip_id].tokens} tokens, but {file} has "
                    f"{count} times; make the clip once more"
                )
    return ["timestamps_ms: compared with the tokens, not kept"] * bool(facts["timestamps_ms"])


def _notes(
    facts: dict[str, dict[str, tuple[Path, str]]], ids: list[str], budget: Budget
) -> dict[str, dict[str, float]]:
    """Return clip id -> fps."""
    notes = {}
    for clip_id in ids:
        if clip_id in facts["fps"]:
            file = facts["fps"][clip_id][0]
            budget.take(file.stat().st_size, str(file))
            value = np.load(file, allow_pickle=False)
            if value.size == 1 and np.isfinite(value).all():
                notes[clip_id] = {"fps": float(value.reshape(-1)[0])}
    return notes
