"""Fuzzing of the readers of files: their claims, a mutator, and a runner for atheris."""
