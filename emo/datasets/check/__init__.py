"""`emo check`: find errors in a manifest and its files before a job is started.

May import: errors, extract.decode, extract.media, machine, machine.untrusted, manifest.
Read first: report.py.
"""

from emo.datasets.check.overlap import OverlapReport, overlap
from emo.datasets.check.report import CheckReport, check

__all__ = ["CheckReport", "OverlapReport", "check", "overlap"]
