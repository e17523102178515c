"""Annotations become clips with their times; media are found beside them and never elsewhere."""

import pytest
from pympi.Elan import Eaf
from pympi.Praat import TextGrid

from emo.errors import ManifestError
from emo.manifest.annotations.collect import AnnotationRequest, from_annotations
from emo.manifest.annotations.library.eaf import Eaf as EafFormat
from emo.manifest.annotations.library.textgrid import Textgrid
from tests.manifest.annotation_files import EXPECTED, SAMPLES, rttm, textgrid


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def made(tmp_path, *sources, **options):
    number = len([*tmp_path.glob("*.out.csv")])
    request = AnnotationRequest(**options)
    return from_annotations(sources, out=tmp_path / f"{number}.out.csv", request=request)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_format_makes_clips(tmp_path, emo, name):
    kinds = {"audacity": "txt", "textgrid": "TextGrid", "times": "csv"}
    file = tmp_path / f"rec.{kinds.get(name, name)}"
    SAMPLES[name](file)
    touch(tmp_path, "rec.mp4", "rec.wav", "other.mp4")
    code, out, err = emo("manifest", "annotations", file.name, "--out", "m.csv")
    assert code == 0, err
    assert "2 clips -> m.csv" in out
    rows = (tmp_path / "m.csv").read_text().splitlines()
    assert rows[0].startswith("video,audio,")
    assert rows[1].startswith("rec.mp4,rec.wav,")
    assert ",1,2.345" in rows[1]
    assert ",3.5,4.75" in rows[2]
    assert "joy" in rows[1]


@pytest.mark.parametrize("mode", ["normal", "short"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_textgrids_of_every_form_are_read(tmp_path, mode, codec):
    textgrid(tmp_path / "a.TextGrid", mode, codec)
    found = Textgrid.read(tmp_path / "a.TextGrid").stretches
    filled = [(each.start_ms, each.end_ms, each.value) for each in found if each.value]
    assert filled == EXPECTED


def test_texts_of_a_textgrid_are_kept_whole(tmp_path):
    grid = TextGrid(xmax=2.0)
    grid.add_tier("who says 5 ?").add_interval(0.5, 1.0, 'she said "no", 7 <exists>\nagain')
    grid.add_tier("points", tier_type="TextTier").add_point(1.5, "knock")
    grid.to_file(str(tmp_path / "a.TextGrid"))
    found = Textgrid.read(tmp_path / "a.TextGrid")
    (each,) = [each for each in found.stretches if each.value]
    assert (each.tier, each.value) == ("who says 5 ?", 'she said "no", 7 <exists>\nagain')
    assert found.left_out == {"points in time": 1}
    grid.to_file(str(tmp_path / "b.TextGrid"), mode="binary")
    with pytest.raises(ManifestError, match="a binary TextGrid; save it"):
        Textgrid.read(tmp_path / "b.TextGrid")


def elan(path, *, relative, origin=None):
    """Two speakers with a tier of emotions and one of words each, dependent tiers of notes."""
    book = Eaf(author="tests")
    book.remove_tier("default")
    book.add_linguistic_type("note", "Symbolic_Association")
    for speaker in ("anna", "ben"):
        book.add_tier(f"{speaker}_emotion", part=speaker)
        book.add_annotation(f"{speaker}_emotion", 1000, 3000, "joy")
        book.add_tier(f"{speaker}_words", part=speaker)
        book.add_annotation(f"{speaker}_words", 900, 1500, f"I am {speaker}")
        book.add_annotation(f"{speaker}_words", 2000, 2500, "& you?")
        book.add_tier(f"{speaker}_note", ling="note", parent=f"{speaker}_emotion", part=speaker)
        book.add_ref_annotation(f"{speaker}_note", f"{speaker}_emotion", 1500, "sure")
    book.add_annotation("anna_emotion", 4000, 5000, "")
    book.add_linked_file("/x/rec.mp4", relpath=relative, mimetype="video/mp4", time_origin=origin)
    book.to_file(str(path))


def test_tiers_and_speakers_of_elan_are_chosen(tmp_path):
    elan(tmp_path / "a.eaf", relative="./media/my%20rec.mp4", origin=250)
    touch(tmp_path, "media/my rec.mp4")
    words = ("anna_words", "ben_words")
    found = made(
        tmp_path, tmp_path / "a.eaf", tiers=("anna_emotion", "ben_emotion"), text_tiers=words
    )
    first, second = found.manifest.clips
    assert (first.video, first.start_seconds, first.end_seconds) == ("media/my rec.mp4", 1.25, 3.25)
    assert [clip.speaker for clip in (first, second)] == ["anna", "ben"]
    assert [clip.text for clip in (first, second)] == ["I am anna & you?", "I am ben & you?"]
    assert first.id == "my rec.mp4#1.25-3.25#anna_emotion"
    assert first.targets == {"label": "joy", "tier": "anna_emotion"}
    assert found.notes == ["left out: 1 empty annotations"]
    found = made(
        tmp_path, tmp_path / "a.eaf", speakers=("ben",), tiers=("ben_words",), values="text"
    )
    assert [clip.text for clip in found.manifest.clips] == ["I am ben", "& you?"]
    note = made(tmp_path, tmp_path / "a.eaf", tiers=("anna_note",)).manifest.clips[0]
    assert (note.start_seconds, note.targets) == (1.25, {"label": "sure"})
    for options, message in [
        ({"tiers": ("ana_words",)}, "unknown tier 'ana_words'; did you mean 'anna_words'"),
        ({"speakers": ("Ben",)}, "unknown speaker 'Ben'; did you mean 'ben'"),
    ]:
        with pytest.raises(ManifestError, match=message):
            made(tmp_path, tmp_path / "a.eaf", **options)


def test_elan_never_opens_media_outside_of_the_folder(tmp_path):
    (tmp_path / "in").mkdir()
    touch(tmp_path, "secret/rec.mp4")
    elan(tmp_path / "in/a.eaf", relative="../secret/rec.mp4")
    with pytest.raises(ManifestError, match=r"1 recording without media: .*a\.eaf"):
        made(tmp_path, tmp_path / "in/a.eaf")
    touch(tmp_path, "in/rec.mp4")
    found = made(tmp_path, tmp_path / "in/a.eaf", tiers=("anna_emotion",))
    assert found.manifest.clips[0].video == "in/rec.mp4"
    assert found.notes[-1] == "not read, outside of the folder: a.eaf: ../secret/rec.mp4"
    found = made(tmp_path, tmp_path, tiers=("ben_emotion",))  # the folder that the user named
    assert found.manifest.clips[0].video == "secret/rec.mp4"


def test_entities_of_xml_are_refused(tmp_path):
    elan(tmp_path / "a.eaf", relative="./rec.mp4")
    text = (tmp_path / "a.eaf").read_text()
    head, body = text.split("\n", 1)
    lol = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    outside = '<!DOCTYPE x SYSTEM "file:///etc/passwd">'
    for doctype in (lol, outside):
        (tmp_path / "a.eaf").write_text(f"{head}\n{doctype}\n{body.replace('joy', '&b;')}")
        with pytest.raises(ManifestError, match="document type"):
            EafFormat.read(tmp_path / "a.eaf")
    (tmp_path / "a.eaf").write_text(text.replace("joy", "&b;"))
    with pytest.raises(ManifestError, match="not XML: undefined entity"):
        EafFormat.read(tmp_path / "a.eaf")
    (tmp_path / "a.eaf").write_text("<x>" * 101 + "</x>" * 101)
    with pytest.raises(ManifestError, match="more than 100 in each other"):
        EafFormat.read(tmp_path / "a.eaf")
    (tmp_path / "a.eaf").write_text(text.replace("<HEADER>", '<HEADER TIME_UNITS="PAL-frames">'))
    with pytest.raises(ManifestError, match="times in PAL-frames are not read"):
        EafFormat.read(tmp_path / "a.eaf")


def test_a_folder_of_recordings_is_read_and_media_may_lie_elsewhere(tmp_path):
    (tmp_path / "in").mkdir()
    rttm(tmp_path / "in/all.rttm")
    textgrid(tmp_path / "in/b.TextGrid")
    touch(tmp_path, "media/x/rec.flac", "media/y/b.wav", "in/notes.txt")
    with pytest.raises(ManifestError, match=r"2 recordings without media: .*all.rttm \(rec\), .*b"):
        made(tmp_path, tmp_path / "in")
    found = made(tmp_path, tmp_path / "in", media=tmp_path / "media").manifest
    assert [clip.audio for clip in found.clips] == ["media/x/rec.flac"] * 2 + ["media/y/b.wav"] * 2
    assert [clip.speaker for clip in found.clips] == ["joy", "sadness", None, None]
    by_tier = made(tmp_path, tmp_path / "in/b.TextGrid", media=tmp_path, are_tiers_speakers=True)
    assert {clip.speaker for clip in by_tier.manifest.clips} == {"emotion"}
    touch(tmp_path, "media/z/b.wav")
    with pytest.raises(ManifestError, match=r"several media could be meant: b\.wav, b\.wav"):
        made(tmp_path, tmp_path / "in", media=tmp_path / "media")
    with pytest.raises(ManifestError, match=r"no file of annotations; looked for \.eaf"):
        made(tmp_path, tmp_path / "media")
    with pytest.raises(ManifestError, match=r"expected one of .* else say --format NAME"):
        made(tmp_path, tmp_path / "media/z/b.wav")


def test_times_of_tables_are_read_with_all_their_columns(tmp_path):
    (tmp_path / "t.csv").write_text(
        "file,onset_ms,duration_ms,label,speaker,text\n"
        "a.mp4,1001,999,joy,anna,hello\nb,0,0,sad,ben,\nb,5,1000,sad,ben,bye\n"
    )
    touch(tmp_path, "a.mp4", "b.wav")
    found = made(tmp_path, tmp_path / "t.csv")
    a, b = found.manifest.clips
    assert (a.video, a.start_seconds, a.end_seconds) == ("a.mp4", 1.001, 2.0)
    assert (b.audio, b.start_seconds, b.end_seconds) == ("b.wav", 0.005, 1.005)
    assert (a.text, a.speaker, a.targets) == ("hello", "anna", {"label": "joy"})
    assert found.notes == ["left out: 1 annotations without duration"]
    (tmp_path / "t.csv").write_text("label,speaker\njoy,anna\n")
    with pytest.raises(ManifestError, match="expected columns such as start and end"):
        made(tmp_path, tmp_path / "t.csv")


def test_subtitles_of_a_language_belong_to_the_video(tmp_path):
    SAMPLES["srt"](tmp_path / "talk.en.srt")
    SAMPLES["vtt"](tmp_path / "other.vtt")
    touch(tmp_path, "talk.mp4", "other.webm")
    clips = made(tmp_path, tmp_path).manifest.clips
    assert [clip.video for clip in clips] == ["other.webm"] * 2 + ["talk.mp4"] * 2
    assert [clip.speaker for clip in clips] == ["Anna", "Ben", None, None]
    assert [clip.text for clip in clips] == ["joy", "sadness"] * 2


def test_one_bad_file_or_recording_does_not_stop_the_others(tmp_path, emo):
    line = "SPEAKER {} 1 0.5 1.0 <NA> <NA> anna <NA> <NA>\n"
    (tmp_path / "d").mkdir()
    (tmp_path / "d/all.rttm").write_text(line.format("rec") + line.format("lost"))
    (tmp_path / "d/latin.srt").write_bytes(b"1\n00:00:01,000 --> 00:00:02,000\nsch\xf6n\n")
    touch(tmp_path, "d/rec.wav", "d/latin.wav")
    code, out, err = emo("manifest", "annotations", "d", "--out", "m.csv")
    text = " ".join(out.split())
    assert (code, "1 clip -> m.csv" in text) == (3, True), err
    assert "left out: 1 recording without media: d/all.rttm (lost)" in text
    assert "left out: not read: d/latin.srt: expected UTF-8 or UTF-16" in text
    code, _, err = emo("manifest", "annotations", "d/latin.srt", "--out", "n.csv")
    assert (code, "expected UTF-8" in err) == (1, True)


@pytest.mark.parametrize(
    ("header", "scale", "is_warned"),
    [("Start Time,End Time", 1, False), ("Begin Time - msec,End Time - msec", 1000, False),
     ("Start Time (ms),End Time (ms)", 1000, False), ("onset,offset", 1000, True)],
)  # fmt: skip
def test_names_and_units_of_times(tmp_path, header, scale, is_warned):
    rows = [f"{k * scale},{(k + 2) * scale},joy" for k in range(3)]
    (tmp_path / "rec.csv").write_text("\n".join([f"{header},label", *rows]) + "\n")
    touch(tmp_path, "rec.wav")
    found = made(tmp_path, tmp_path / "rec.csv", format="times")
    assert any("if they are milliseconds" in note for note in found.notes) == is_warned
    last = found.manifest.clips[-1]
    assert (last.start_seconds, last.end_seconds) == ((2000, 4000) if is_warned else (2, 4))
