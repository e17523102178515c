"""Tests of emo/heads/fitting."""
