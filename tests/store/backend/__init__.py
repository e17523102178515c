"""Tests of emo/store/backend."""
