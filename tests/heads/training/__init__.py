"""Tests of emo/heads/training."""
