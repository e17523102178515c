"""Turn the words of `emo adapt` into `AdaptOptions`."""

from collections.abc import Mapping, Sequence
from typing import Any

from emo import plugins
from emo.adapt.options import AdaptOptions
from emo.errors import OptionError
from emo.heads.fitting.options_from_cli import fit_options


def adapt_options(
    given: Mapping[str, Any],
    *,
    backbones: Sequence[str] = (),
    option: Sequence[str] = (),
    targets: Sequence[str] = (),
    tasks: Sequence[str] = (),
    weights: Sequence[str] = (),
    base: AdaptOptions | None = None,
) -> AdaptOptions:
    """Return the options of an adaptation: typed values, else those of ``base``.

    Args:
        given: typed fields, by the names that :meth:`AdaptOptions.of` takes.
        backbones: words of ``--backbone``.
        option: words ``OWNER.NAME=VALUE`` of backbones and of the head; without ``OWNER`` they are
            of the only backbone.
        targets: columns to predict.
        tasks: words such as ``regress`` for all targets, or ``valence=regress`` for one.
        weights: words such as ``emotion=0.5``, factors of targets in the loss.
        base: options to begin with, such as a preset's; None: the defaults.

    Raises:
        OptionError: a word or a value that is not understood.
    """
    found = base or AdaptOptions()
    head = given.get("head", found.fit.head)
    if head != found.fit.head:
        found = found.replace(head_options={})
    fields: dict[str, Any] = dict(given)
    if backbones:
        fields["backbones"] = tuple(backbones)
    of_head = [word for word in option if word.startswith(f"{head}.")]
    others = tuple(word for word in option if word not in of_head)
    if others:
        fields["backbone_options"] = (*_kept(found, backbones), *others)
    own = plugins.split_options(of_head, [head])[head]
    words = fit_options(
        {"head": head},
        targets=targets or found.fit.targets,
        tasks=tasks,
        weights=weights,
        option=(),
    )
    if targets:
        fields["target"] = words.target
    if tasks:
        fields["tasks"] = words.tasks
    if weights:
        fields["target_weights"] = words.loop.target_weights
    found = found.replace(**fields)
    return found.replace(head_options={**found.fit.head_options, **own})


def _kept(base: AdaptOptions, backbones: Sequence[str]) -> tuple[str, ...]:
    """Return the backbones' options of a preset; none where other backbones were named."""
    return () if backbones and tuple(backbones) != base.backbones else base.backbone_options


def words_of(text: str | None, option: str) -> tuple[str, ...]:
    """Return the words of a text with commas between.

    >>> words_of("q_proj, v_proj", "--target-modules")
    ('q_proj', 'v_proj')

    Raises:
        OptionError: a word is empty.
    """
    if text is None:
        return ()
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise OptionError(f"{option} {text}: expected names with commas between")
    return words
