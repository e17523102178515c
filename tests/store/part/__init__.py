"""Tests of emo/store/part."""
