"""A headless Chromium, driven over the DevTools protocol through a pipe: it needs no driver and no port."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

PROGRAM = shutil.which("chromium")
_OPTIONS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
]


class Chromium:
    """One tab. Everything that the page complains of is in `complaints`, every URL that it asked for in `asked`."""

    def __init__(self, sent: BinaryIO, received: BinaryIO) -> None:
        self._sent, self._received = sent, received
        self._number, self._session = 0, ""
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._loaded = False

    def open(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call, and return the result; what comes meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._sent.write(json.dumps(message).encode() + b"\0")
        self._sent.flush()
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, f"{method}: {answer['error']}"
        return dict(answer["result"])

    def go(self, url: str) -> None:
        self._loaded = False
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._next()

    def look(self, width: int, *, dark: bool = False, script: bool = True) -> None:
        """Look at the page from now on as such a reader does."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=1200, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)

    def run(self, script: str) -> Any:
        """Return what the script returns; a promise is waited for."""
        wrapped = f"(async () => {{ {script} }})()"
        answer = self.call("Runtime.evaluate", expression=wrapped, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """Save what is in the window."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def spoken(self) -> list[tuple[str, str]]:
        """What a screen reader is given: roles and names."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def _next(self) -> dict[str, Any]:
        raw = bytearray()
        while (byte := self._received.read(1)) != b"\0":
            assert byte, "chromium has ended"
            raw += byte
        message: dict[str, Any] = json.loads(raw)
        params = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(params["exceptionDetails"]["text"])
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
        return message


@contextmanager
def chromium(directory: Path) -> Iterator[Chromium]:
    """Start it, with its profile in `directory`; end it at the end."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # It reads from descriptor 3 and writes to descriptor 4.
    shell = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
    process = subprocess.Popen(
        ["/bin/bash", "-c", shell, str(PROGRAM), *_OPTIONS, f"--user-data-dir={directory}", "about:blank"],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    with open(ours_out, "wb") as sent, open(ours_in, "rb") as received:
        browser = Chromium(sent, received)
        try:
            yield browser.open()
            browser._session = ""
            browser.call("Browser.close")
        finally:
            process.terminate()
            process.wait()
