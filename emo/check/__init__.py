"""`emo check`: find errors in a manifest and its files before a job is started.

May import: errors, extract.decode, extract.media, machine, manifest, untrusted.
Read first: report.py.
"""

from emo.check.overlap import OverlapReport, overlap
from emo.check.report import CheckReport, check

__all__ = ["CheckReport", "OverlapReport", "check", "overlap"]
