"""Read XML without document types: no entities are expanded, nothing outside is fetched."""

from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat

MOST_ELEMENTS = 2_000_000
"""Most elements of a document."""
MOST_NESTING = 100
"""Deepest nesting of elements."""
_PIECE_BYTES = 2**16


class XmlError(ValueError):
    """A text is not XML, has a document type (DOCTYPE), or is larger than what is read."""


class _RootFound(Exception):
    """Raised at the first element: no document type can follow."""


def check_no_doctype(file: IO[bytes]) -> None:
    """Read XML up to its first element.

    Raises:
        XmlError: the file has a document type, in which entities could be declared, or is not XML.
    """
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = _stop
    try:
        while piece := file.read(_PIECE_BYTES):
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except _RootFound:
        return
    except XmlError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:  # or an encoding such as UTF-7
        raise XmlError(f"not XML: {error}") from error


def parse_xml(data: bytes) -> ElementTree.Element:
    """Parse an XML document without a document type; return its root.

    Raises:
        XmlError: the document is not XML, has a document type, or too many or too deep elements.
    """
    builder = _BoundedBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.tree.data
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except XmlError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:  # or an encoding such as UTF-7
        raise XmlError(f"not XML: {error}") from error
    return builder.tree.close()


class _BoundedBuilder:
    """Builds a tree of at most so many elements, nested at most so deep."""

    def __init__(self) -> None:
        self.tree = ElementTree.TreeBuilder()
        self.elements = self.nesting = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        self.nesting += 1
        if self.elements > MOST_ELEMENTS or self.nesting > MOST_NESTING:
            raise XmlError(
                f"it has more than {MOST_ELEMENTS:,} elements, or more than {MOST_NESTING} in each "
                "other"
            )
        self.tree.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.nesting -= 1
        self.tree.end(tag)


def _refuse(*_: object) -> None:
    raise XmlError("it has a document type (DOCTYPE), which may declare entities; remove it")


def _stop(*_: object) -> None:
    raise _RootFound
