"""Tell which cells a spreadsheet would run as formulas, and disarm them for those who open one.

Excel, LibreOffice and Google Sheets take a cell of a CSV file that begins with ``=``, ``+``, ``-``
or ``@`` for a formula, which can send other cells of the sheet away (OWASP, "CSV injection").
Files of `emo` keep ids exactly as they are, since they are keys; only a copy for people is changed.
"""

_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def is_formula(cell: str) -> bool:
    """Return whether a spreadsheet would run a cell; numbers such as ``-1.5`` are none.

    >>> [is_formula(cell) for cell in ("=1+1", "-1.5", "-x", "clip=1", "")]
    [True, False, True, False, False]
    """
    if not cell.startswith(_STARTS):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False


def without_formula(cell: str) -> str:
    """Return a cell with an apostrophe in front if a spreadsheet would run it.

    >>> without_formula("=1+1"), without_formula("anger")
    ("'=1+1", 'anger')
    """
    return f"'{cell}" if is_formula(cell) else cell
