"""Read XML without document types: no entities are expanded, nothing outside is fetched."""

from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat

_PIECE_BYTES = 2**16


class XmlError(ValueError):
    """A text is not XML, or has a document type (DOCTYPE)."""


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
    except expat.ExpatError as error:
        raise XmlError(f"not XML: {error}") from error


def parse_xml(data: bytes) -> ElementTree.Element:
    """Parse an XML document without a document type; return its root.

    Raises:
        XmlError: the document is not XML, or has a document type.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlError(f"not XML: {error}") from error
    return builder.close()


def _refuse(*_: object) -> None:
    raise XmlError("it has a document type (DOCTYPE), which may declare entities; remove it")


def _stop(*_: object) -> None:
    raise _RootFound
