"""Small files of annotations, one of each format, all saying the same.

``joy`` from 1 to 2.345 s and ``sadness`` from 3.5 to 4.75 s. Files of ELAN and Praat are written by
pympi, a library of its own; the others follow the published descriptions.
"""

from pympi.Elan import Eaf
from pympi.Praat import TextGrid

EXPECTED = [(1000, 2345, "joy"), (3500, 4750, "sadness")]


def eaf(path):
    book = Eaf(author="tests")
    book.remove_tier("default")
    book.add_tier("emotion", part="anna")
    for start, end, value in EXPECTED:
        book.add_annotation("emotion", start, end, value)
    book.to_file(str(path))


def textgrid(path, mode="normal", codec="utf-8"):
    grid = TextGrid(xmax=10.0)
    tier = grid.add_tier("emotion")
    for start, end, value in EXPECTED:
        tier.add_interval(start / 1000, end / 1000, value)
    grid.to_file(str(path), mode=mode, codec=codec)


def audacity(path):
    path.write_text("1.000000\t2.345000\tjoy\n\\\t200.0\t3000.0\n3.500000\t4.750000\tsadness\n")


def rttm(path):
    path.write_text(
        ";; made by hand\n"
        "SPKR-INFO rec 1 <NA> <NA> <NA> unknown joy <NA> <NA>\n"
        "SPEAKER rec 1 1.0 1.345 <NA> <NA> joy <NA> <NA>\n"
        "SPEAKER rec 1 3.5 1.25 <NA> <NA> sadness <NA> <NA>\n"
    )


def srt(path):
    path.write_text(
        "1\r\n00:00:01,000 --> 00:00:02,345\r\n<i>joy</i>\r\n\r\n"
        "2\r\n00:00:03,500 --> 00:00:04,750 X1:1\r\n{\\an8}sadness\r\n"
    )


def vtt(path):
    path.write_text(
        "WEBVTT - example\n\nNOTE no cue: 00:01.000 --> 00:02.000\n\n"
        "STYLE\n::cue { color: red }\n\n"
        "one\n00:01.000 --> 00:02.345 align:start\n<v Anna>joy</v>\n\n"
        "00:00:03.500 --> 00:00:04.750\n<v.loud Ben>sad<b>ness</b>\n"
    )


def times(path):
    path.write_text("begin,end,emotion\n1,2.345,joy\n00:00:03.500,4.75,sadness\n")


SAMPLES = {
    "audacity": audacity, "eaf": eaf, "rttm": rttm, "srt": srt, "textgrid": textgrid,
    "times": times, "vtt": vtt,
}  # fmt: skip
"""Format -> function that writes a file of it."""
