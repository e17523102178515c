"""Pages of `emo view` in a real browser: all real videos play, hostile names run nothing."""

import pytest

from emo.report.view.view import ViewOptions, view_pages
from tests.report.view.conftest import HOSTILE, NAMES, make_features, make_media, served

pytestmark = pytest.mark.browser
SEEK = """
new Promise((done) => {
  const video = document.querySelector("video");
  const fail = () => done("failed: " + (document.querySelector(".failed")?.textContent || "?"));
  setTimeout(() => done("late " + video?.readyState), 20000);
  const look = (tries) => {
    const board = document.createElement("canvas");
    [board.width, board.height] = [32, 32];
    board.getContext("2d").drawImage(video, 0, 0, 32, 32);
    const pixels = board.getContext("2d").getImageData(0, 0, 32, 32).data;
    const levels = new Set(pixels.filter((_, k) => k % 4 === 0));
    if (levels.size <= 8 && tries > 0) return setTimeout(look, 50, tries - 1);  // not drawn yet
    done([video.currentTime.toFixed(2), video.videoWidth > 0, levels.size > 8].join(" "));
  };
  if (!video) return fail();
  const seek = () => {
    video.addEventListener("seeked", () => look(100), { once: true });
    video.currentTime = 0.5;
  };
  if (video.readyState > 0) seek(); else video.addEventListener("loadedmetadata", seek);
  video.addEventListener("error", () => setTimeout(fail, 500));
})
"""


def videos(folder):
    """The real videos, relative to the folder of real data."""
    found = [*(folder / "clips").iterdir(), *(folder / "flv").glob("*.flv")]
    return sorted(each.relative_to(folder) for each in found if each.suffix != ".wav")


@pytest.fixture(scope="module")
def real_view(real_data, tmp_path_factory):
    files = videos(real_data)
    manifest = tmp_path_factory.mktemp("real") / "m.csv"
    manifest.write_text("\n".join(["video", *map(str, files)]), encoding="utf-8")
    with served(view_pages([manifest], ViewOptions(root=real_data))) as client:
        yield client, files


def test_every_real_video_shows_a_frame_at_half_a_second(browser, real_view):
    client, files = real_view
    found = {}
    for number, file in enumerate(files):
        page = browser.open(f"{client.server.url}clip/{number}")
        found[str(file)] = page.run(SEEK)
        page.close()
        assert not found[str(file)].startswith("late"), file
    print(f"\n{len(found)} videos, {[*found.values()].count('0.50 true true')} play")
    assert len(found) == 29
    assert {name: each for name, each in found.items() if each != "0.50 true true"} == {}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    manifest = make_media(folder)
    options = ViewOptions(root=folder / "media", features=(str(make_features(folder / "store")),))
    with served(view_pages([manifest], options)) as found:
        yield found


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["", "plays", "broken", HOSTILE])
def test_pages_are_legible_and_run_nothing_foreign(browser, axe, client, name, width, is_dark):
    address = f"clip/{NAMES.index(name)}" if name else ""
    page = browser.open(client.server.url + address, width=width, is_dark=is_dark)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.title") == (name or "clips.csv")
    urls = [each["request"]["url"] for each in page.events("Network.requestWillBeSent")]
    own = (client.server.url, "data:")  # the icons of players
    assert [url for url in urls if not url.startswith(own)] == []
    assert page.events("Runtime.exceptionThrown", "Page.javascriptDialogOpening") == []
    page.run(axe)
    found = page.run(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})"
        ".then((all) => all.violations.map((each) => each.id + ' ' + each.nodes[0].html))"
    )
    assert found == []
    page.close()


def test_a_picture_that_fails_becomes_its_reason(browser, client):
    page = browser.open(f"{client.server.url}clip/{NAMES.index('sound')}")
    page.run("(() => {const i = new Image(); i.src = location.pathname + '/frame';"
             " document.body.append(i)})()")  # fmt: skip
    page.wait("document.querySelector('.failed')?.textContent === 'the clip has no video file'")
    page.close()


def test_a_stretch_stops_at_its_end(browser, client):
    page = browser.open(f"{client.server.url}clip/{NAMES.index('stretch')}")
    page.wait("document.querySelector('video').readyState > 1")
    assert page.run("document.querySelector('video').currentTime") == pytest.approx(0.25, abs=0.05)
    page.run("document.querySelector('video').muted = true")
    page.run("document.querySelector('video').play()")
    page.wait("document.querySelector('video').paused")
    assert page.run("document.querySelector('video').currentTime") == pytest.approx(0.75, abs=0.12)
    page.run("document.querySelector('video').play()")
    assert page.run("document.querySelector('video').currentTime") < 0.6  # from the start again
    page.close()


@pytest.mark.parametrize("name", ["plays", "copied"])
def test_a_file_that_is_opened_alone_plays(browser, client, name):
    page = browser.open(f"{client.server.url}clip/{NAMES.index(name)}/media")
    page.wait("document.querySelector('video')?.readyState > 1")
    page.close()
