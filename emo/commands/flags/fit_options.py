"""Options that `emo fit-head` and `emo adapt` share: targets, splits, the loss, augmentation."""

from typing import Annotated

from typer import Option

Targets = Annotated[
    list[str], Option(metavar="COLUMN", help="Column to predict; repeat; default: label.")
]
TargetWeights = Annotated[
    list[str],
    Option(metavar="COLUMN=X", help="Factor of a target in the loss; repeat."),
]
AllowMissing = Annotated[
    float | None,
    Option(metavar="SHARE", help="Share of clips that may lack features; default: 0.05."),
]
AllowSeen = Annotated[
    bool,
    Option(
        "--allow-seen",
        help="Score on clips that `emo adapt` trained the features' weights on; the run says so.",
    ),
]
Cut = Annotated[
    str | None,
    Option(
        metavar="HOW",
        help="Cut splits that the manifest lacks by groups of speakers and dialogues (the "
        "default) or by single clips.",
    ),
]
IntervalOver = Annotated[
    str | None,
    Option(
        metavar="COLUMN",
        help="What intervals are drawn over: a column (@clip: the one called clip), dialogue "
        "or clip; without it dialogues if there are any, else clips.",
    ),
]
LabelSmoothing = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        help="Probability taken from the gold class and spread over all; default: 0.",
    ),
]
ClassWeights = Annotated[
    bool, Option("--class-weights", help="Weight the loss by inverse class frequency.")
]
Focal = Annotated[
    float | None, Option(metavar="NUMBER", help="Exponent of the focal loss; default: 0.")
]
Mixup = Annotated[
    float | None, Option(metavar="ALPHA", help="Mixup's beta distribution; default: 0, none.")
]
MixupProbability = Annotated[
    float | None, Option(metavar="SHARE", help="Share of the steps with mixup; default: 1.")
]
SpecAugment = Annotated[
    list[str],
    Option(metavar="STREAM", help="A log-mel stream to mask while training; repeat."),
]
ModalityDropout = Annotated[
    float | None,
    Option(metavar="SHARE", help="Share of streams left out while training; default: 0."),
]
ReportTo = Annotated[
    str | None,
    Option(
        metavar="A,B,C",
        help="Trackers of `emo list trackers` that get the run when it is written, such as wandb.",
    ),
]
