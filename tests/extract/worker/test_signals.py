"""Tests of emo/extract/worker/signals.py: a signal requests a stop, a second SIGINT interrupts."""

import os
import signal

import pytest

from emo.extract.worker.signals import stop_on_signals


def test_a_second_interrupt_interrupts_at_once_and_the_handlers_come_back():
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as is_stopping:
        assert not is_stopping()
        os.kill(os.getpid(), signal.SIGINT)
        assert is_stopping()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
