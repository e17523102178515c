"""Tests of emo/heads/runs."""
