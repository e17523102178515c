"""`emo check`: finds what would spoil training before a job is started."""

from emo.check.overlap import OverlapReport, overlap
from emo.check.report import CheckReport, check

__all__ = ["CheckReport", "OverlapReport", "check", "overlap"]
