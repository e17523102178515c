"""A real Chromium over its debugging pipe, with the standard library alone.

Source: the Chrome DevTools Protocol; messages are JSON that ends with a zero byte, written to file
descriptor 3 of the browser and read from its descriptor 4.
"""

import itertools
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium-headless-shell", "chrome-headless-shell", "chromium", "google-chrome")
"""Commands that are looked for."""


def browser_path():
    """Return the command of a browser; None: there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A browser without a window; use it in a ``with`` block."""

    def __init__(self, command):
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def place():
            os.dup2(to_read, 103), os.dup2(to_write, 104)
            os.dup2(103, 3), os.dup2(104, 4)

        self._process = subprocess.Popen(
            [command, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             "--autoplay-policy=no-user-gesture-required", "--hide-scrollbars"],
            preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read), os.close(to_write)
        self._numbers, self._rest, self.events = itertools.count(1), b"", []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._write)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)

    def call(self, method, session=None, **values):
        """Send a command, and return its result; events that come before it are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": values}
        message |= {"sessionId": session} if session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next(30)
            if found.get("id") == number:
                assert "error" not in found, (method, found["error"])
                return found["result"]
            self.events.append(found)

    def _next(self, seconds):
        """Return the next message."""
        end = time.monotonic() + seconds
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
            assert ready, f"the browser did not answer in {seconds} s"
            self._rest += os.read(self._read, 1 << 20)
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, url, *, width=1280, height=900, is_dark=False, media=""):
        """Open a page in a window of that size, and return it once it has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for name in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{name}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        theme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        page.call("Emulation.setEmulatedMedia", media=media, features=[theme])
        page.call("Page.navigate", url=url)
        page.wait("document.readyState === 'complete'")
        return page


class Page:
    """An open page."""

    def __init__(self, browser, session, target):
        self._browser, self._session, self._target = browser, session, target

    def call(self, method, **values):
        """Send a command to the page, and return its result."""
        return self._browser.call(method, self._session, **values)

    def run(self, script):
        """Return the value of JavaScript, which may be a promise."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                          returnByValue=True)  # fmt: skip
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition, seconds=10):
        """Wait until JavaScript is true."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"not within {seconds} s: {condition}"
            time.sleep(0.02)

    def events(self, *methods):
        """Return the parameters of the page's events so far, of these methods."""
        own = [each for each in self._browser.events if each.get("sessionId") == self._session]
        return [each["params"] for each in own if each["method"] in methods]

    def problems(self):
        """Return errors of the console, exceptions, dialogs, and requests of other files."""
        found = [each["entry"]["text"] for each in self.events("Log.entryAdded")
                 if each["entry"]["level"] == "error"]  # fmt: skip
        found += [str(each) for each in self.events(
            "Runtime.exceptionThrown", "Page.javascriptDialogOpening")]  # fmt: skip
        found += [str(each) for each in self.events("Runtime.consoleAPICalled")
                  if each["type"] == "error"]  # fmt: skip
        requests = [each["request"]["url"] for each in self.events("Network.requestWillBeSent")]
        return found + [url for url in requests[1:] if not url.startswith("data:")]

    def close(self):
        """Close the page."""
        self._browser.call("Target.closeTarget", targetId=self._target)
