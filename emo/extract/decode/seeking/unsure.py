"""The reason why a picture is not taken from a seek."""


class Unsure(Exception):
    """Seeking cannot be shown to give the pictures of a whole decode; the message says why."""
