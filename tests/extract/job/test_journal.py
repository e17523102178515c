"""Tests of emo/extract/job/journal.py: what a journal records, and how a bad clip is isolated."""

import errno
import math
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.errors import StoreError
from emo.extract.job.journal import MOST_PIECES, Death, Journal, me

LETTERS = tuple("abcdefgh")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "000003.jsonl")


def dies(journal, clips, how="SIGSEGV"):
    journal.begin(clips)
    assert journal.died(me(), how)


def test_a_part_that_ends_well_leaves_no_file(journal):
    journal.begin(LETTERS)
    assert journal.in_hand() == {me(): list(LETTERS)}
    assert journal.deaths() == []  # its worker, this process, lives
    journal.end()
    assert not journal.path.exists()


def test_a_worker_that_vanished_died_unseen(journal):
    journal.path.write_text('{"begin": ["a", "b"], "by": "another-machine/12/abcdef"}\n{"beg')
    assert journal.deaths() == [Death(frozenset("ab"), None)]
    journal.begin(["c"])
    journal.end()
    assert journal.deaths() == [Death(frozenset("ab"), None)]  # kept beside a good end


def test_a_line_that_was_cut_costs_only_itself(journal):
    journal.path.write_text('{"begin": ["a"], "by": "another-machine/12/abcdef"}\n{"beg')
    journal.begin(["c"])
    assert journal.in_hand() == {"another-machine/12/abcdef": ["a"], me(): ["c"]}


def test_a_line_that_does_not_fit_is_an_error(journal, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:5]))
    with pytest.raises(StoreError, match="no space left"):
        journal.begin(LETTERS)


def test_a_worker_without_clips_in_progress_has_no_death_recorded(journal):
    assert not journal.died("here/1/abcdef", "SIGKILL")
    assert not journal.path.exists()


def test_the_unsuspected_go_first_then_the_suspects_in_quarters(journal):
    dies(journal, "cdefgh")
    groups = [group.clips for group in journal.groups(LETTERS)]
    assert groups == [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]
    dies(journal, "ef")
    groups = [group.clips for group in journal.groups(["e", "f", "g", "h"])]
    assert groups == [("g",), ("h",), ("e",), ("f",)]


def test_a_clip_is_given_up_only_alone_and_after_two_deaths(journal):
    dies(journal, "ab", None)
    dies(journal, "a", None)
    assert [group.give_up_reason for group in journal.groups("a")] == [None]  # once alone, unseen
    dies(journal, "a", None)
    (group,) = journal.groups("a")
    assert "died 3 times while processing it, alone in the end: unknown cause" in (
        group.give_up_reason
    )


def test_the_reason_names_the_signal_that_was_observed(journal):
    dies(journal, "ab")
    dies(journal, "a")
    assert journal.groups("a")[0].give_up_reason.endswith("alone in the end: SIGSEGV")
    assert journal.groups("b")[0].give_up_reason is None


def test_deaths_can_be_carried_from_an_earlier_job(journal):
    journal.carry([Death(frozenset("ab"), None), Death(frozenset("a"), "SIGBUS")])
    assert journal.deaths() == [Death(frozenset("ab"), None), Death(frozenset("a"), "SIGBUS")]


@settings(max_examples=40, deadline=None)
@given(clips=st.integers(1, 300), killers=st.sets(st.integers(0, 299), max_size=3))
def test_bad_clips_and_only_they_are_given_up_after_few_deaths(tmp_path_factory, clips, killers):
    """Repeat attempts until nothing is missing, with workers that die exactly at the bad clips."""
    journal = Journal(tmp_path_factory.mktemp("dance") / "j.jsonl")
    missing, given_up, deaths = list(range(clips)), set(), 0
    bad = killers & set(missing)
    while missing:
        names = [f"c{k}" for k in missing]
        whole = [names] if not journal.path.exists() else None
        groups = [(g.clips, g.give_up_reason) for g in journal.groups(names)] if not whole else [
            (tuple(names), None)
        ]  # fmt: skip
        for group, give_up_reason in groups:
            ids = {int(name[1:]) for name in group}
            if give_up_reason:
                given_up |= ids
            elif ids & bad:
                dies(journal, group)
                deaths += 1
                break
            missing = [k for k in missing if k not in ids]
        else:
            missing = [k for k in missing if k not in given_up]
        missing = [k for k in missing if k not in given_up]
    assert given_up == bad
    assert deaths <= len(bad) * (math.ceil(math.log(max(clips, 2), MOST_PIECES)) + 2)


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\x1c", "\x0b", "\n", "\r", "é"])
def test_a_clip_id_with_any_letter_is_known_again(journal, letter):
    clips = [f"a{letter}b", letter]
    dies(journal, clips)
    assert journal.deaths() == [Death(frozenset(clips), "SIGSEGV")]


def test_a_line_that_was_cut_inside_a_letter_is_nothing(journal):
    dies(journal, "a")
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + '{"begin": ["é'.encode()[:-1])
    assert journal.deaths() == [Death(frozenset("a"), "SIGSEGV")]


def test_an_entry_that_cannot_be_removed_is_an_error(journal, monkeypatch):
    def unlink(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal.begin(LETTERS)
    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(StoreError, match="Input/output error"):
        journal.end()
