"""Tests of emo/extract/worker."""
