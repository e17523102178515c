"""Tests of emo/store/maintain."""
