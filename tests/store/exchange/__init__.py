"""Tests of emo/store/exchange."""
