"""Tests of emo/extract/decode."""
