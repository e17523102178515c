"""Tests of emo/extract/faces."""
