"""The statements of a module, without the expressions in them, which are most of its nodes."""

import ast
from collections.abc import Iterator

BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of statements that hold statements, or what holds statements."""


def directly_below(node: ast.AST) -> Iterator[ast.AST]:
    """The statements in the blocks of a module or statement."""
    for block in BLOCKS:
        yield from getattr(node, block, ())


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a module or statement, in functions and classes too."""
    for child in directly_below(node):
        yield child
        yield from statements(child)
