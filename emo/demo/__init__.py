"""The embedded synthetic data set: one warped photograph, made-up speech, template sentences."""
