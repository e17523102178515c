"""Pages in a real Chromium: no request, no error, no overflow, nothing that axe finds, usable."""

import time

import numpy as np
import pytest

from emo.report.leaderboard import leaderboard_page
from emo.score.score import ScoreOptions, score
from tests.report.conftest import CLASSES, COUNT, DIALOGUES, IDS, LABELS, page_of
from tests.report.make_runs import make_run

pytestmark = pytest.mark.browser

AXE = """axe.run({resultTypes: ["violations"]}).then((found) => found.violations.map((each) =>
  `${each.id}: ${each.nodes[0].html.slice(0, 200)}: ${each.nodes[0].failureSummary}`))"""
HOSTILE = [
    "</script><script>window.pwned=1</script>", "<img src=x onerror='window.pwned=1'>",
    "{{7*7}}", "\u202eevil\u202c", "a\u2028b", "'\"><svg onload=window.pwned=1>",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def written(folder):
    """Write a page, and return its address."""

    def write(name, text):
        path = folder / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        return path.as_uri()

    return write


@pytest.fixture(scope="module")
def two(folder, written, manifest):
    """Address of the page of two runs with speakers."""
    runs = [make_run(folder / name, CLASSES, LABELS, dialogues=DIALOGUES, skill=skill,
                     manifest=manifest) for name, skill in (("a", 1.0), ("b", 2.0))]  # fmt: skip
    return written("two", page_of(*runs, cards=2, media=None))


def check(browser, axe, url, *, width=1280, is_dark=False):
    """Check that a page asks for nothing, has no errors and no violations, and fits its window."""
    page = browser.open(url, width=width, is_dark=is_dark)
    page.run("document.querySelectorAll('details').forEach((each) => each.open = true)")
    page.run(axe)
    assert page.run(AXE) == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.problems() == []
    page.close()


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_is_accessible_and_fits(browser, axe, two, width, is_dark):
    check(browser, axe, two, width=width, is_dark=is_dark)


def test_pages_of_other_tasks_are_accessible(browser, axe, folder, written):
    few = slice(0, 20)
    runs = [
        make_run(folder / "numbers", [], np.linspace(-2, 2, 20), task="regress", ids=IDS[few]),
        make_run(folder / "labels", CLASSES, np.arange(80).reshape(20, 4) % 3 // 2,
                 task="multilabel", ids=IDS[few]),
        make_run(folder / "pairs", ["none", "joy"], np.arange(20) % 2, task="pairs", ids=IDS[few],
                 causes=IDS[:20][::-1]),
    ]  # fmt: skip
    check(browser, axe, written("tasks", page_of(*runs, cards=1)), width=390)


def test_twenty_eight_classes_with_long_names(browser, axe, folder, written):
    names = [*("x" * 38 + end for end in ("ab", "ac")), "中文情感标签", "الغضب والحزن",
             *(f"class {k}" for k in range(24))]  # fmt: skip
    run = make_run(folder / "many", names, np.arange(56) % 28)
    check(browser, axe, written("many", page_of(run, cards=1)), width=390)


def test_a_leaderboard_is_accessible(browser, axe, folder, written):
    for name in ("ann", "bob"):
        run = make_run(folder / "board" / name, CLASSES, LABELS, seeds=1)
        (folder / "board" / f"{name}.csv").write_text((run / "predictions.csv").read_text())
    gold = folder / "gold.csv"
    gold.write_text("id,label\n" + "".join(f"{name},{CLASSES[k]}\n" for name, k in
                                           zip(IDS, LABELS, strict=True)))  # fmt: skip
    report = score(folder / "board", gold, ScoreOptions(has_interval=True))
    assert all(one.headline_interval for one in report.results if one.scores)
    check(browser, axe, written("board", leaderboard_page(report)), width=390)


def test_hostile_names_run_nothing(browser, folder, written):
    ids = [f"{name} {k}" for k in range(8) for name in HOSTILE]
    run = make_run(folder / "<img src=x onerror=window.pwned=1>", HOSTILE, np.arange(48) % 6,
                   ids=ids, skill=0.1)  # fmt: skip
    page = browser.open(written("hostile", page_of(run)))
    page.run("document.querySelector('.matrix button').click()")
    assert page.run("window.pwned") is None
    assert page.problems() == []
    assert page.run("document.querySelectorAll('main img, main svg[onload]').length") == 0
    # the page forbids itself what a hole would let in
    page.run("""document.body.insertAdjacentHTML("beforeend",
        "<img src=https://example.org/x.png onerror='window.pwned=1'>");
        const script = document.createElement("script"); script.textContent = "window.pwned = 1";
        document.body.append(script)""")
    denied = page.run("fetch('https://example.org/').then(() => false, () => true)")
    assert denied
    assert page.run("window.pwned") is None
    page.close()


def test_cells_list_their_clips_and_filters_work(browser, two):
    page = browser.open(two)
    shown = "document.querySelector('.status').textContent"
    assert page.run(shown) == f"b: {COUNT} of {COUNT} rows"
    cell = "document.querySelector('article.run:not([hidden]) td.hit button')"
    page.run(f"{cell}.click()")
    wanted = f"b: label {CLASSES[0]}, predicted {CLASSES[0]} by any seed: "
    assert page.run(shown).startswith(wanted)
    rows = int(page.run(shown).removeprefix(wanted).split()[0])
    assert rows >= float(page.run(f"{cell}.textContent"))
    page.run("document.querySelector('.filters button[type=reset]').click()")
    page.run("""const field = document.querySelector("[name=text]"); field.value = "ann 1";
        field.dispatchEvent(new Event("input", {bubbles: true}))""")
    assert page.run(shown) == "b: 12 of 60 rows"
    page.run("document.querySelector('.rows thead button').click()")
    page.run("document.querySelector('.rows thead button').click()")
    assert page.run("document.querySelector('.rows th[aria-sort]').ariaSort") == "descending"
    first = "document.querySelector('.rows tbody th').textContent"
    assert page.run(first) == max(each for k, each in enumerate(IDS) if k % 5 == 1)
    page.run("document.querySelectorAll('.picker button')[1].click()")
    assert page.run(shown).startswith("a: ")
    assert page.run("document.querySelectorAll('article.run:not([hidden])').length") == 1
    page.close()


def test_a_printed_page_fits_its_paper_and_shows_every_run(browser, two):
    page = browser.open(two, width=680, media="print")  # A4 without its margins
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert (
        page.run("getComputedStyle(document.querySelectorAll('article.run')[1]).display") != "none"
    )
    page.close()


def test_twenty_thousand_clips_are_ready_in_a_second(browser, folder, written):
    count = 20_000
    ids = [f"dialogue{k // 12}/utterance{k % 12}" for k in range(count)]
    labels = np.random.default_rng(0).integers(0, 7, count)
    run = make_run(folder / "large", [*CLASSES, "fear", "disgust", "surprise"], labels, ids=ids,
                   dialogues=[each.partition("/")[0] for each in ids], seeds=5)  # fmt: skip
    started = time.process_time()
    text = page_of(run)
    assert time.process_time() - started < 10
    assert len(text.encode()) < 2_000_000
    page = browser.open(written("large", text))
    page.wait("document.documentElement.dataset.ready === 'yes'")
    ready = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    assert page.run(ready) < 3_000  # 0.3 s on a quiet machine; a second is asked for
    page.close()
