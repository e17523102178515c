"""Tests of emo/heads/solvers."""
