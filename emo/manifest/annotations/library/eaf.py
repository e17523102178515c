"""Read annotations of ELAN (.eaf).

Source: Max Planck Institute for Psycholinguistics, "ELAN Annotation Format", schema 3.0. Entities
and document types are refused, nothing outside of the file is read.
"""

from pathlib import Path
from typing import ClassVar
from xml.etree.ElementTree import Element

from emo.errors import ManifestError
from emo.machine.untrusted.xml import XmlError, parse_xml
from emo.manifest.annotations.format import (
    AnnotationFormat,
    Annotations,
    MediaReference,
    Stretch,
    read_bytes,
)

_Times = dict[str, tuple[int, int] | None]


class Eaf(AnnotationFormat):
    """ELAN: the annotations of each tier; a tier's participant is the speaker."""

    extensions: ClassVar[tuple[str, ...]] = (".eaf",)

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """Read all tiers; an annotation of a dependent tier has the times of its parent."""
        try:
            root = parse_xml(read_bytes(path))
        except XmlError as error:
            raise ManifestError(f"{path}: {error}") from error
        if root.tag != "ANNOTATION_DOCUMENT":
            raise ManifestError(f"{path}: expected ANNOTATION_DOCUMENT of ELAN, found {root.tag}")
        header = root.find("HEADER")
        units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
        if units != "milliseconds":
            raise ManifestError(f"{path}: times in {units} are not read; save it in milliseconds")
        times = _times(root, path)
        stretches, without = [], 0
        for tier in root.iter("TIER"):
            for each in _annotations(tier):
                found = times.get(each.get("ANNOTATION_ID", ""))
                if found is None:
                    without += 1
                    continue
                value = (each.findtext("ANNOTATION_VALUE") or "").strip()
                name, speaker = tier.get("TIER_ID", ""), tier.get("PARTICIPANT", "")
                stretches.append(Stretch(*found, value, name, speaker))
        left_out = {"annotations without times": without} if without else {}
        return Annotations(stretches, _media(root, path), left_out)


def _annotations(tier: Element) -> list[Element]:
    """Return the annotations of a tier, aligned or dependent."""
    return [each for outer in tier.iter("ANNOTATION") for each in outer]


def _times(root: Element, path: Path) -> _Times:
    """Return id of an annotation -> start and end in milliseconds; None: they are not known."""
    slots = {
        slot.get("TIME_SLOT_ID", ""): _number(slot.get("TIME_VALUE"), path)
        for slot in root.iter("TIME_SLOT")
    }
    times: _Times = {}
    parents: dict[str, str] = {}
    for tier in root.iter("TIER"):
        for each in _annotations(tier):
            name = each.get("ANNOTATION_ID", "")
            if each.tag == "REF_ANNOTATION":
                parents[name] = each.get("ANNOTATION_REF", "")
                continue
            start = slots.get(each.get("TIME_SLOT_REF1", ""))
            end = slots.get(each.get("TIME_SLOT_REF2", ""))
            times[name] = None if start is None or end is None else (start, end)
    for name in parents:
        seen, above = {name}, parents[name]
        while above in parents and above not in seen:
            seen.add(above)
            above = parents[above]
        times[name] = times.get(above)
    return times


def _media(root: Element, path: Path) -> list[MediaReference]:
    """Return the media files that the header names."""
    return [
        MediaReference(
            each.get("RELATIVE_MEDIA_URL") or each.get("MEDIA_URL") or "",
            _number(each.get("TIME_ORIGIN"), path) or 0,
        )
        for each in root.iter("MEDIA_DESCRIPTOR")
    ]


def _number(text: str | None, path: Path) -> int | None:
    """Return a whole number of milliseconds; None: there is none."""
    if text is None or not text.strip():
        return None
    digits = text.strip().removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 11:
        raise ManifestError(f"{path}: expected whole milliseconds, got {text[:40]!r}")
    return int(text)
