"""What only this machine can hold is refused as a URL, by every command that writes it."""

import typing
from pathlib import Path

import pytest

from emo.cli import app
from emo.commands.flags.options import written
from emo.errors import redacted
from emo.machine.untrusted.addresses import check_no_secrets, hide_secrets

WRITTEN = ("out", "missing", "folder")
"""What commands call that they write, where it is a path and not a place (a bucket is one too)."""
READ = {"dataset folder"}
"""Of these what is only read."""


def commands(group, before=""):
    for each in group.registered_commands:
        name = each.name or each.callback.__name__.replace("_", "-")
        yield before + name, each.callback
    for each in group.registered_groups:
        yield from commands(each.typer_instance, f"{before}{each.name} ")


def options():
    """``(command and option, its typer.Option)`` of every path that is written."""
    for words, function in commands(app):
        for name, hint in typing.get_type_hints(function, include_extras=True).items():
            kind, *infos = typing.get_args(hint) or (hint,)
            is_path = Path in (kind, *typing.get_args(kind))
            if is_path and name in WRITTEN and f"{words} {name}" not in READ:
                yield f"{words} {name}", infos[0]


def test_every_path_that_a_command_writes_is_looked_at():
    found = dict(options())
    known = {name.rpartition(" ")[0] for name in found}
    assert {"demo", "rerun", "submit", "dataset", "manifest join"} <= known
    assert {"store export", "store pack", "store unpack"} <= known
    for name, option in found.items():
        assert option.callback is written, name


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["demo", "--out", "URL"], "--out"),
        (["predict", "run", "--manifest", "m.csv", "--out", "URL"], "--out"),
        (["fit-head", "--ablate", "--out", "URL"], "--out"),
        (["store", "import", "mmsa", "a.pkl", "--manifest", "URL"], "--manifest"),
        (["store", "unpack", "a.zip", "URL"], "FOLDER"),
        (["dataset", "meld", ".", "--missing", "URL"], "--missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
@pytest.mark.parametrize("url", ["s3://bucket/x.csv", "https://host/x.csv"])
def test_a_url_is_refused_before_anything_is_done(emo, tmp_path, words, named, url):
    code, _, err = emo(*[url if word == "URL" else word for word in words])
    assert code == 1
    assert err == (
        f"emo: error: {url}: {named} must be a local file or folder; write it locally, "
        "then copy it to the bucket\n"
    )
    assert not [*tmp_path.iterdir()]


def test_a_colon_alone_is_no_url(emo, tmp_path):
    (tmp_path / "m.csv").write_text("text,speaker\na,x\nb,y\nc,z\n")
    words = ["--split-by", "speaker", "--val", "x", "--test", "y", "--out", "a:b.csv"]
    assert emo("manifest", "split", "m.csv", *words)[0] == 0
    assert (tmp_path / "a:b.csv").exists()


SECRETS = (
    "s3://KEY:HIDDEN@bucket/x.csv", "s3://KEY:HID/HIDDEN@bucket/x.csv",
    "s3://bucket/x.csv?sig=HIDDEN", "https://me:HIDDEN@host/x.csv", "https://host/x.csv?a=HIDDEN",
)  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["extract", "m.csv", "--backbone", "logmel", "--out"],
        ["extract", "m.csv", "--backbone", "logmel", "--jobs"],
        ["fit-head"], ["fit-head", "--features", "store", "--out"],
        ["predict", "run", "--manifest", "m.csv", "--features", "store", "--out"],
        ["predict"], ["show"], ["compare"], ["report"], ["serve"], ["check"], ["store", "ls"],
        ["check", "m.csv", "--media"], ["manifest", "folder"], ["manifest", "tar"],
        ["store", "erase", "store", "--ids", "ids.txt", "--runs"],
        ["store", "erase", "store", "--ids", "ids.txt", "--receipt"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_url_with_a_secret_is_refused_and_not_shown(emo, tmp_path, words):
    (tmp_path / "m.csv").write_text("text\na\n")
    (tmp_path / "ids.txt").write_text("a\n")
    for url in SECRETS:
        code, out, err = emo(*words, url)
        assert code in (1, 2)
        assert "HID" not in out + err
        assert err
    assert {path.name for path in tmp_path.iterdir()} == {"m.csv", "ids.txt"}


def test_secrets_in_urls_are_told_from_ports_and_names():
    for url in ("https://host:8443/a@b.wav", "s3://bucket/a@b.wav", "s3://b/x.tar!a@1+2"):
        check_no_secrets(url)
        assert hide_secrets(url) == redacted(url) == url
    for url in SECRETS:
        lost = url.replace("://", ":/")
        assert "HID" not in hide_secrets(url) + hide_secrets(lost)
        for each in (url, lost) if "@" in url or "sig=" in url else ():
            assert "HID" not in redacted(f"{each}: no such file")
        with pytest.raises(ValueError, match="may be a secret"):
            check_no_secrets(url)
