"""Tests of emo/extract/executors."""
