"""Tests of emo/heads/data."""
