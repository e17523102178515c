"""Tests of emo/extract/transforms."""
