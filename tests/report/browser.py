"""Opens a page in headless Chromium and tells what it saw.

The page is framed at a chosen width, with a script added that measures it and
posts the result; Chromium's own log of network traffic says what left it.
"""

import html
import json
import os
import re
import shutil
import subprocess

import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)

# What Chromium asks for by itself; no page of ours would ask these hosts.
_OF_CHROMIUM = re.compile(
    r"https?://(clients\d|accounts|update|optimizationguide-pa|content-autofill|"
    r"safebrowsing|android\.clients|redirector|edgedl|www)\.(google|googleapis|gvt1)"
    r"\.com/"
)

_PROBE = """<script>
addEventListener("load", () => setTimeout(() => {
  const box = element => element.getBoundingClientRect();
  parent.postMessage({
    width: innerWidth,
    scrollWidth: document.documentElement.scrollWidth,
    resources: performance.getEntriesByType("resource").map(entry => entry.name),
    figures: [...document.querySelectorAll("figure svg")].map(svg => ({
      label: svg.getAttribute("aria-label"),
      width: box(svg).width,
      height: box(svg).height,
      shapes: [...svg.querySelectorAll("path, use")].filter(
        shape => box(shape).width + box(shape).height > 0).length,
      clipped: [...svg.querySelectorAll("text")].filter(
        text => box(text).left < box(svg).left - 1.5 ||
                box(text).right > box(svg).right + 1.5).map(text => text.textContent),
    })),
    headings: [...document.querySelectorAll("h1, h2, h3, h4")].map(
      heading => Number(heading.tagName[1])),
    focusable: [...document.querySelectorAll("a[href], [tabindex='0']")].length,
  }, "*");
}, 50));
</script>"""

_FRAME = """<!DOCTYPE html><meta charset="utf-8"><pre id="seen">nothing</pre>
<script>addEventListener("message", event => {
  document.getElementById("seen").textContent = JSON.stringify(event.data);
});</script>
<iframe src="probed.html" style="width: %dpx; height: 900px; border: 0"></iframe>"""


def chromium():
    """Chromium's path; skips where there is none, fails where CI promised one."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set but Chromium is not installed")
        pytest.skip("Chromium is not installed")
    return path


def run(folder, *arguments):
    """Runs Chromium with a fresh profile; its output and its messages."""
    result = subprocess.run(
        [chromium(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return result.stdout, result.stderr


def look(page, folder, width):
    """What Chromium sees of a page: measures, console lines and addresses asked for."""
    text = page.replace("</body>", _PROBE + "</body>")
    assert text != page
    (folder / "probed.html").write_text(text, encoding="utf-8")
    (folder / "frame.html").write_text(_FRAME % width, encoding="utf-8")
    log = folder / "net.json"
    dom, messages = run(
        folder,
        "--window-size=1400,1000",
        "--virtual-time-budget=4000",
        f"--log-net-log={log}",
        "--dump-dom",
        (folder / "frame.html").as_uri(),
    )
    match = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    seen = json.loads(html.unescape(match[1]))
    seen["console"] = [line for line in messages.splitlines() if ":CONSOLE" in line]
    seen["asked"] = _addresses(log)
    return seen


def _addresses(log):
    """Every http address in the network log that isn't Chromium's own."""
    found = re.findall(r'"url":"(https?://[^"]+)"', log.read_text(encoding="utf-8"))
    return sorted({address for address in found if not _OF_CHROMIUM.match(address)})
