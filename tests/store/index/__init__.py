"""Tests of emo/store/index."""
