"""Select the clips of a fit (labelled, in a split, with features), with notes on the others."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from emo.errors import FitError, plural
from emo.manifest import Clip, Manifest
from emo.ragged import Ragged


def labelled_clips(
    manifest: Manifest, tasks: Mapping[str, str], unit: str
) -> tuple[list[Clip], list[str]]:
    """Return clips with a label (and a split, if any clip has one), and notes on the others.

    For a ``dialogue`` head the unlabelled turns of a labelled dialogue are kept as context.

    Args:
        manifest: the clips.
        tasks: task of each target.
        unit: ``clip`` or ``dialogue``, see :class:`emo.heads.head.Head`.
    """
    clips = [clip for clip in manifest.clips if any(name in clip.targets for name in tasks)]
    if unit == "dialogue":
        dialogues = {clip.dialogue for clip in clips if clip.dialogue}
        has_pairs = "pairs" in tasks.values()  # a dialogue without any pair is labelled too
        ids = {clip.id for clip in clips}
        clips = [
            clip
            for clip in manifest.clips
            if clip.id in ids or clip.dialogue in dialogues or (has_pairs and clip.dialogue)
        ]
    notes = []
    if len(clips) < len(manifest.clips):
        count, names = len(manifest.clips) - len(clips), " or ".join(tasks)
        notes.append(f"{plural(count, 'clip')} without {names}: not used")
    for name, task in tasks.items():
        count = sum(name not in clip.targets for clip in clips)
        if count and task != "pairs":
            notes.append(f"{count} of the clips used have no {name}: not scored on it")
    if any(clip.split for clip in clips) and not all(clip.split for clip in clips):
        unsplit = [clip.id for clip in clips if not clip.split]
        notes.append(f"{_some(unsplit)} in no split: not used")
        clips = [clip for clip in clips if clip.split]
    return clips, notes


def subsample(
    clips: list[Clip], most: int, *, unit: str, seed: int, classes_of: str | None = None
) -> list[Clip]:
    """Draw at most ``most`` clips of each split at random, and return them in their old order.

    Args:
        clips: all clips.
        most: largest number of clips of a split.
        unit: ``dialogue``: whole dialogues are drawn.
        seed: seed of the draw.
        classes_of: a target; one clip of each of its classes is drawn before the second of any,
            frequent classes first, so that all splits have the same classes. None: draw at random.
    """
    order = np.random.default_rng(seed).permutation(len(clips)).tolist()
    if classes_of is not None and unit == "clip":
        labels = [clip.targets.get(classes_of, "") for clip in clips]
        common = {label: k for k, (label, _) in enumerate(Counter(labels).most_common())}
        seen = Counter[tuple[str | None, str]]()
        draw_order = {}
        for row in order:
            stratum = clips[row].split, labels[row]
            draw_order[row] = seen[stratum], common[labels[row]]
            seen[stratum] += 1
        order.sort(key=draw_order.__getitem__)
    groups: dict[str, list[Clip]] = {}
    for row in order:
        clip = clips[row]
        key = clip.dialogue if unit == "dialogue" and clip.dialogue else f"clip {clip.id}"
        groups.setdefault(key, []).append(clip)
    counts, kept = Counter[str | None](), set()
    for group in groups.values():
        split = group[0].split
        if counts[split] == 0 or counts[split] + len(group) <= most:
            counts[split] += len(group)
            kept |= {clip.id for clip in group}
    return [clip for clip in clips if clip.id in kept]


def are_present(tokens: Mapping[str, Ragged]) -> np.ndarray:
    """Return bool (N,): which of N clips have tokens in at least one stream."""
    present: np.ndarray = np.any([ragged.lengths > 0 for ragged in tokens.values()], axis=0)
    return present


def drop_without_features(
    clips: list[Clip], tokens: dict[str, Ragged], allowed: float, *, keeps: bool = False
) -> tuple[list[Clip], dict[str, Ragged], list[str]]:
    """Return the clips with at least one stream, their tokens, and a note on the others.

    Args:
        clips: N clips.
        tokens: their tokens by stream, numpy (ΣT, D).
        allowed: largest share of clips, in [0, 1], that may have no stream.
        keeps: whether the others are kept all the same (--top-classes): those of train leave once
            the splits are known, and those of val and test count as wrong.

    Raises:
        FitError: more clips have no stream.
    """
    is_present = are_present(tokens)
    if is_present.all():
        return clips, tokens, []
    missing = [clips[row] for row in np.flatnonzero(~is_present)]
    some = _some([clip.id for clip in missing])
    if len(missing) > allowed * len(clips):
        raise FitError(
            f"{some} of {len(clips)} without features, more than the allowed share of "
            f"{allowed:g}. Run emo extract, see emo store failures, or raise --allow-missing."
        )
    if keeps:
        return clips, tokens, []
    by_split = Counter(clip.split or "all" for clip in missing)
    where = ", ".join(f"{count} of {name}" for name, count in by_split.items())
    rows = np.flatnonzero(is_present)
    kept = {name: ragged.subset(rows) for name, ragged in tokens.items()}
    return [clips[row] for row in rows], kept, [f"{some} without features: left out ({where})"]


def notes_on_shared_clips(
    shared: Mapping[str, Sequence[str]], tokens: Mapping[str, Ragged]
) -> list[str]:
    """Return a note on each stream whose tokens clips share: how many clips have whose tokens.

    Args:
        shared: stream -> id of the clip whose tokens each clip has.
        tokens: tokens of the clips by stream.
    """
    found = []
    for name, ids in shared.items():
        lengths = tokens[name].lengths
        known = {clip_id for clip_id, length in zip(ids, lengths, strict=True) if length}
        found.append(
            f"{name}: {plural(int((lengths > 0).sum()), 'row')} share the tokens of "
            f"{plural(len(known), 'clip')}"
        )
    return found


def notes_on_absent_streams(tokens: Mapping[str, Ragged]) -> list[str]:
    """Return a note on each stream that some clips lack."""
    counts = {name: int((ragged.lengths == 0).sum()) for name, ragged in tokens.items()}
    return [f"{name}: absent in {plural(count, 'clip')}" for name, count in counts.items() if count]


def _some(clip_ids: Sequence[str]) -> str:
    """Return the number of clips and the first ids, such as ``5 clips (a, b, c, …)``."""
    dots = ", …" if len(clip_ids) > 3 else ""
    return f"{plural(len(clip_ids), 'clip')} ({', '.join(clip_ids[:3])}{dots})"
