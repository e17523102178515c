"""Tests of emo/heads/library."""
