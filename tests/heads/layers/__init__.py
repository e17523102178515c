"""Tests of emo/heads/layers."""
