"""Tests of emo/extract/models."""
