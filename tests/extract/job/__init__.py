"""Tests of emo/extract/job."""
