"""Prompts of zero-shot classes, from templates or from a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.errors import OptionError
from emo.manifest.rows import read_rows

USUAL_TEMPLATE = "a photo of a {} face"
"""Template of the prompts where none is given."""


def read_prompts(
    classes: Sequence[str], templates: Sequence[str], prompts: Path | None
) -> dict[str, list[str]]:
    """Return class -> its prompts.

    Args:
        classes: names of the classes.
        templates: texts with ``{}`` where the class goes; empty: :data:`USUAL_TEMPLATE`.
        prompts: table ``class,prompt`` with prompts of each class; None: the templates.

    Raises:
        OptionError: a template has no ``{}``, a class has no prompt, or both are given.
        ManifestError: the table cannot be read.
    """
    if prompts is not None:
        if templates:
            raise OptionError("--prompts and --template: give one of them")
        return _of_table(classes, prompts)
    if len(set(classes)) < 2:
        raise OptionError("--classes: expected several classes, such as angry,happy")
    odd = [template for template in templates if "{}" not in template]
    if odd:
        raise OptionError(
            f"--template {odd[0]!r}: expected {{}} where the class goes, such as {USUAL_TEMPLATE!r}"
        )
    texts = templates or (USUAL_TEMPLATE,)
    return {name: [text.replace("{}", name) for text in texts] for name in classes}


def _of_table(classes: Sequence[str], path: Path) -> dict[str, list[str]]:
    """Return class -> its prompts, from a table ``class,prompt``; no classes: all of the table."""
    if not path.exists():
        raise OptionError(f"{path}: no such file; expected a table with columns class and prompt")
    table = read_rows(path)
    if not {"class", "prompt"} <= table.columns.keys():
        raise OptionError(f"{path}: expected the columns class and prompt")
    found: dict[str, list[str]] = {}
    rows = zip(table.origins, table.columns["class"], table.columns["prompt"], strict=True)
    for origin, name, prompt in rows:
        for column, cell in (("class", name), ("prompt", prompt)):
            if not cell.strip():
                raise OptionError(f"{path}: {origin}: the {column} is empty")
        found.setdefault(name.strip(), []).append(prompt)
    lacking = [name for name in classes if name not in found]
    if lacking:
        raise OptionError(f"{path}: class {lacking[0]!r} has no prompt")
    return check_prompts({name: found[name] for name in classes or found}, str(path))


def check_prompts(prompts: Mapping[str, Sequence[str]], source: str) -> dict[str, list[str]]:
    """Return class -> its prompts, if they can be used.

    Args:
        prompts: class -> its prompts.
        source: where they are from, for errors.

    Raises:
        OptionError: there are less than two classes, a class has no prompt, or one is empty.
    """
    if len(prompts) < 2:
        raise OptionError(f"{source}: expected at least two classes")
    for name, own in prompts.items():
        if isinstance(own, str) or not own or not all(text.strip() for text in own):
            raise OptionError(
                f"{source}: class {name!r}: expected a list of prompts, none of them empty"
            )
    return {name: [*own] for name, own in prompts.items()}


def read_templates(words: Sequence[str]) -> list[str]:
    """Return templates; a word that is a file is replaced by the file's lines.

    Raises:
        OptionError: a file cannot be read as UTF-8, or holds no template.
    """
    found: list[str] = []
    for word in words:
        path = Path(word)
        if "{}" in word or not path.is_file():
            found.append(word)
            continue
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise OptionError(f"--template {path}: the file is not UTF-8; save it so") from error
        except OSError as error:
            raise OptionError(f"--template {path}: cannot be read: {error.strerror}") from error
        kept = [line for line in lines if line.strip()]
        if not kept:
            raise OptionError(f"--template {path}: the file holds no template")
        found += kept
    return found
