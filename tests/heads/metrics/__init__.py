"""Tests of emo/heads/metrics."""
