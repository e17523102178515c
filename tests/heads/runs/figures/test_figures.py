"""Figures of runs: legible names, fonts, formats, and curves that there are not."""

import dataclasses
import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from emo.errors import EmoError
from emo.heads.fitting.fit import fit_head
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.figures import class_names as naming
from emo.heads.runs.figures.canvas import new_figure
from emo.heads.runs.figures.class_names import class_names
from emo.heads.runs.figures.confusion import draw_confusion, normalised, plan_of
from emo.heads.runs.figures.folders import FigureOptions, confusion_counts, plot_runs
from tests.heads.conftest import QUICK, quick

LONG = [f"a class with a $name$ of forty letters {k:03}" for k in range(28)]


@pytest.fixture(scope="module")
def runs(made, tmp_path_factory):
    manifest, store = made
    folder = tmp_path_factory.mktemp("figures")
    for name, options in {
        "mean": QUICK.replace(epochs=3),
        "path": quick("linear").replace(streams=("fake/a",)),
        "late": quick("linear"),
    }.items():
        fit_head(manifest, [store], folder / name, options)
    return folder


def boxes(figure, labels):
    renderer = figure.canvas.get_renderer()
    return [label.get_window_extent(renderer) for label in labels]


@pytest.mark.parametrize(
    ("names", "size"),
    [
        (LONG, (None, None)), (LONG, (7.0, 7.0)), (LONG, (3.3, 3.3)), (LONG, (5.0, None)),
        (["joy", "sadness", "anger"], (3.3, 3.0)), (LONG[:3], (None, None)),
        ([f"class {k}" for k in range(40)], (6.0, None)),
    ],
)  # fmt: skip
def test_no_two_names_overlap_and_none_is_cut(names, size):
    totals = [" (1,234)"] * len(names)
    plan = plan_of(names, totals, width=size[0], height=size[1])
    figure, axes = new_figure(plan.width, plan.height)
    draw_confusion(axes, np.eye(len(names)), plan, title="x")
    figure.canvas.draw()
    assert size[0] in (None, plan.width)
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        found = boxes(figure, labels)
        if labels[0].get_rotation() not in (35.0,):
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(found))
        for box in found:
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= figure.bbox.x1
            assert box.y1 <= figure.bbox.y1
    # the matrix does not vanish beside its names
    assert axes.get_window_extent().width > 0.2 * figure.bbox.width
    is_numbered = bool(plan.names.note)
    assert is_numbered == (plan.names.shown[0] == "1")
    assert is_numbered == (size == (3.3, 3.3) and names is LONG)
    assert plan.is_legible


def test_letters_without_a_font_become_numbers_with_a_line():
    found = class_names(["joy", "\U00013000"])
    assert found.shown == ("1", "2")
    assert found.note.endswith("numbered: 1 joy, 2 \U00013000")
    assert class_names(["colère", "joie"]).shown == ("colère", "joie")
    assert not class_names(["радость"]).note


def test_an_installed_font_that_knows_the_letters_is_used(tmp_path, monkeypatch):
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib import font_manager

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((500, 0), (500, 500), (0, 500)):
        pen.lineTo(point)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "joy"])
    builder.setupCharacterMap({0x559C: "joy", 0xAE30: "joy"})
    builder.setupGlyf({".notdef": pen.glyph(), "joy": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (600, 0), "joy": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Noto Sans CJK Test", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(tmp_path / "cjk.ttf")
    manager = font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [*manager.ttflist])
    manager.addfont(tmp_path / "cjk.ttf")
    naming._families.cache_clear()
    assert class_names(["喜", "기", "joy"]).families == ("DejaVu Sans", "Noto Sans CJK Test")
    naming._families.cache_clear()


def test_letters_from_right_to_left_need_layout(monkeypatch):
    naming._families.cache_clear()
    monkeypatch.setattr(naming, "_has_layout", lambda: True)
    assert class_names(["فرح"]).shown == ("فرح",)
    monkeypatch.setattr(naming, "_has_layout", lambda: False)
    assert "right to left; numbered: 1 فرح" in class_names(["فرح"]).note


def test_a_run_says_which_number_in_its_picture_is_which_class(made, tmp_path):
    manifest, store = made
    signs = {"joy": "\U00013000", "sadness": "\U00013001", "anger": "\U00013002"}
    clips = tuple(
        dataclasses.replace(clip, targets={"label": signs.get(name := clip.targets["label"], name)})
        for clip in manifest.clips
    )
    foreign = dataclasses.replace(manifest, clips=clips)
    found = fit_head(foreign, [store], tmp_path / "x", quick("linear").replace(seeds=1))
    first = sorted({clip.targets["label"] for clip in clips})[0]
    assert "picture of the confusion of label: no installed font" in found.table()
    assert f"numbered: 1 {first}" in found.table()
    assert not any("picture" in note for note in found.notes)


def test_long_names_stay_different():
    long = ["a" * 70 + "x" + "b" * 70, "a" * 70 + "y" + "b" * 70, "c" * 70, "joy"]
    found = class_names(long).shown
    assert len(set(found)) == 4
    assert max(map(len, found)) == naming.MOST_NAME
    assert [name[-2:] for name in found] == [" 1", " 2", "cc", "oy"]


def test_numbers_in_cells_can_be_read_on_every_blue():
    size = 10
    counts = np.full((size, size), 0.5) + np.arange(size * size).reshape(size, size) / 99
    _, axes = new_figure(9, 9)
    draw_confusion(axes, counts, plan_of([str(k) for k in range(size)]), normalize="none")
    image = axes.images[0]
    assert len(axes.texts) == size * size
    for text, value in zip(axes.texts, counts.flat, strict=True):
        lights = sorted(luminance(to_rgb(c)) for c in (text.get_color(), image.to_rgba(value)[:3]))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5


def luminance(colour):
    """Relative luminance of WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_normalisations():
    counts = np.array([[3.0, 1.0], [0.0, 0.0]])
    assert normalised(counts, "true").tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert normalised(counts, "pred").tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert normalised(counts, "all").sum() == 1
    assert normalised(counts, "none") is counts
    with pytest.raises(EmoError, match="expected true, pred, all, none"):
        normalised(counts, "rows")


def test_counts_are_the_mean_over_seeds(runs):
    counts, found, split = confusion_counts(runs / "mean", None, "")
    assert split == "test"
    assert counts.sum() == 30
    per_class = found.metrics["classes"]
    for name, row in zip(found.target.classes, counts, strict=True):
        assert row.sum() == per_class[name]["clips"]
    with pytest.raises(EmoError, match="unknown split 'tset'"):
        confusion_counts(runs / "mean", None, "tset")


@pytest.mark.parametrize(
    ("kind", "names", "ending", "start"),
    [
        ("confusion", ["mean", "path"], ".pdf", b"%PDF"),
        ("curves", ["mean", "path"], ".svg", b"<?x"),
        ("compare", ["mean", "path", "late"], ".png", b"\x89PNG"),
    ],
)  # fmt: skip
def test_each_figure_is_written_and_names_no_folder(kind, names, ending, start, runs, tmp_path):
    out = tmp_path / f"new/x{ending}"
    folders = [runs / name for name in names]
    assert plot_runs(kind, folders, out, FigureOptions()) == []
    data = out.read_bytes()
    assert data.startswith(start)
    assert str(runs).encode() not in data
    plot_runs(kind, folders, tmp_path / f"again{ending}", FigureOptions())
    assert (tmp_path / f"again{ending}").read_bytes() == data


def test_one_solution_has_no_curve(runs, tmp_path):
    assert not (runs / "late" / "curves.png").exists()
    assert (runs / "path" / "curves.png").exists()
    with pytest.raises(EmoError, match="single round"):
        plot_runs("curves", [runs / "late"], tmp_path / "x.pdf", FigureOptions())
    with pytest.raises(EmoError, match=r"ends in .pdf, .svg, .png"):
        plot_runs("compare", [runs / "late"], tmp_path / "x.jpg", FigureOptions())
    assert not list(tmp_path.iterdir())


def test_a_run_without_curves_is_left_out_of_the_figure_of_others(runs, tmp_path):
    notes = plot_runs("curves", [runs / "mean", runs / "late"], tmp_path / "x.svg", FigureOptions())
    assert [note.startswith(f"left out: {runs / 'late'}: ") for note in notes] == [True]
    assert (tmp_path / "x.svg").is_file()
    with pytest.raises(EmoError, match="no run has curves"):
        plot_runs("curves", [runs / "late"] * 2, tmp_path / "y.svg", FigureOptions())


def test_a_folder_of_runs_is_told_from_a_run(runs):
    with pytest.raises(EmoError, match=r"no run; it holds \d+ runs: give .*/\*"):
        compare_runs([runs])
