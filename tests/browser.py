"""A headless browser for the tests of pages: Chromium, driven by its DevTools protocol over a pipe.

Clicks and keys are real input events, and everything that the page asks of the network is kept in `Browser.events`.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
OPTIONS += " --disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-pipe"
# The browser reads commands from descriptor 3 and answers on 4.
LAUNCH = "import os, sys; r, w, *all = sys.argv[1:]; os.dup2(int(r), 3); os.dup2(int(w), 4); os.execv(all[0], all)"
SECONDS = 60


class Browser:
    """One page of one browser, with a profile of its own in `folder`; a context manager."""

    def __init__(self, folder):
        ours, theirs = os.pipe(), os.pipe()
        passed = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (ours[0], theirs[1])]  # clear of 3 and 4
        words = [sys.executable, "-c", LAUNCH, *map(str, passed), PROGRAM, *OPTIONS.split()]
        words += [f"--user-data-dir={folder}", "about:blank"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(words, pass_fds=passed, **quiet)
        for fd in (ours[0], theirs[1], *passed):
            os.close(fd)
        self._write, self._read = ours[1], theirs[0]
        self._number, self._session, self._buffer, self.events = 0, {}, b"", []
        try:
            (page,) = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
            session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
            self._session = {"sessionId": session}
            for domain in ("Page", "Network", "Log", "Runtime"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """End the browser."""
        self._session = {}
        try:
            self.call("Browser.close")
            self._process.wait(SECONDS)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            os.close(self._write)
            os.close(self._read)

    def call(self, method, **params):
        """Send one command and return its result; what else arrives meanwhile goes to `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _next(self):
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            chunk = os.read(self._read, 1 << 16)
            assert chunk, "the browser has gone"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, path):
        """Load a file, and wait until it is there."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def evaluate(self, expression):
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def click(self, selector):
        """Click into the middle of the first element that a selector finds."""
        place = f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
        place += " e.scrollIntoView({block: 'center', inline: 'center'}); const r = e.getBoundingClientRect();"
        x, y = self.evaluate(place + " return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key, code, text=""):
        """Press and release a key, such as ``"Enter", 13, "\\r"``."""
        for kind in ("keyDown", "keyUp"):
            said = {"text": text} if kind == "keyDown" and text else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **said)

    def screenshot(self, path, whole=True):
        """Write a PNG of the page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
