# SPDX-License-Identifier: GPL-2.0
"""Looks at the page of make report in a browser.

usage: report_check.py PAGE

Wide and narrow, light and dark: no error on the console, nothing fetched, each section has
its content, nothing is wider than the window, and it can be read. Then the page is
spoilt in each of these ways, which has to be noticed. Pictures go beside the page.
Last line: "N passed, N failed, N skipped".
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
SECTIONS = ("timeline", "map", "differences", "check", "race", "coverage", "programs", "sweep", "bench")
SIZES = ((1280, 900), (400, 800))
COLOURS = ("light", "dark")

LOOK = r"""
(() => {
	const shown = e => e.getClientRects().length > 0;
	const scrolls = e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
	const inside = e => { for (e = e.parentElement; e; e = e.parentElement) if (scrolls(e)) return true; return false; };
	const wide = [...document.body.querySelectorAll("*")].filter(e => shown(e) && !inside(e) &&
		e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + "." + (e.className.baseVal ?? e.className));
	const rgb = text => text.match(/[\d.]+/g).slice(0, 3).map(Number);
	const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = light(rgb(getComputedStyle(document.body).backgroundColor));
	const contrast = colour => { const c = light(rgb(colour)); return (Math.max(c, ground) + 0.05) / (Math.min(c, ground) + 0.05); };
	const faint = [];
	// What is drawn on a bar.
	const on = Object.assign(document.body.appendChild(document.createElement("i")), { style: "color: var(--on)" });
	const on_bar = getComputedStyle(on).color;
	on.remove();
	for (const e of document.querySelectorAll("h1, h2, p, td, code"))
		if (shown(e) && !e.closest(".map, svg") && contrast(getComputedStyle(e).color) < 4.5) faint.push(e.tagName);
	for (const e of document.querySelectorAll("svg text"))
		if (shown(e) && getComputedStyle(e).fill !== on_bar && contrast(getComputedStyle(e).fill) < 4.5)
			faint.push(e.textContent);
	const sections = {};
	for (const e of document.querySelectorAll("section")) {
		const empty = [...e.querySelectorAll("svg")].filter(s => shown(s) && (s.getBoundingClientRect().width < 150 ||
				s.querySelectorAll("path, use").length < 5)).map(() => "svg").concat(
			[...e.querySelectorAll("table")].filter(t => t.rows.length < 2).map(() => "table"),
			[...e.querySelectorAll("pre")].filter(t => !t.textContent.trim()).map(() => "pre"));
		sections[e.id] = {
			title: e.querySelector("h2")?.textContent ?? "",
			parts: e.querySelectorAll("svg, table, pre").length,
			missing: [...e.querySelectorAll(".missing")].map(m => m.textContent.trim()),
			height: e.getBoundingClientRect().height,
			empty,
		};
	}
	return { wide, scroll: document.documentElement.scrollWidth, window: innerWidth, sections, faint, ground,
		title: document.title };
})()
"""


class Browser:
    """One page in a browser, spoken to through a pair of pipes."""

    def __init__(self, program):
        commands, self.to = os.pipe()
        self.answers, answers = os.pipe()
        self.dir = tempfile.mkdtemp()

        def place():
            # It reads from 3 and writes to 4.
            a, b = os.dup(commands), os.dup(answers)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", f"--user-data-dir={self.dir}", "about:blank"],
            preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self.nr, self.rest, self.events, self.session = 0, b"", [], None

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.answers, 1 << 20)
            if not more:
                sys.exit("report_check: error: the browser has ended")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.nr += 1
        command = {"id": self.nr, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.to, json.dumps(command).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.nr:
                if "error" in answer:
                    sys.exit(f"report_check: error: {method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def attach(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, url, width, height, colour):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": colour}])
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.message())

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            sys.exit(f"report_check: error: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"],
                               "height": min(size["height"], 15000), "scale": 1})["data"]
        with open(path, "wb") as out:
            out.write(base64.b64decode(data))

    def errors(self):
        # What was said until now has arrived with the answer to this.
        self.run("0")
        for e in self.events:
            p, method = e.get("params", {}), e.get("method")
            if method == "Runtime.exceptionThrown":
                yield p["exceptionDetails"]["text"]
            elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
                yield str([a.get("value") for a in p["args"]])
            elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
                yield p["entry"]["text"]

    def fetched(self, url):
        for e in self.events:
            if e.get("method") == "Network.requestWillBeSent":
                asked = e["params"]["request"]["url"]
                if asked.split("#")[0] != url and not asked.startswith("data:"):
                    yield asked

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def judge(browser, url, colour):
    """What is wrong, for each check: "" if nothing is."""
    seen = browser.run(LOOK)
    sections = seen["sections"]
    content = [f"there is no section {s}" for s in SECTIONS if s not in sections]
    for name, s in sections.items():
        if not s["title"] or s["height"] < 60 or not (s["parts"] or s["missing"]):
            content.append(f"{name} is empty")
        content += [f"{name} has an empty {e}" for e in s["empty"]]
    wide = seen["wide"][:3]
    if seen["scroll"] > seen["window"]:
        wide.append(f"the page is {seen['scroll']} wide in {seen['window']}")
    readable = seen["faint"][:3]
    if (seen["ground"] > 0.5) != (colour == "light"):
        readable.append(f"the ground is not {colour}")
    return {
        "no error on the console": "; ".join(list(browser.errors())[:3]),
        "nothing is fetched": "; ".join(list(browser.fetched(url))[:3]),
        "all sections have their content": "; ".join(content),
        "nothing is wider than the window": "; ".join(wide),
        "it can be read": "; ".join(readable),
    }, seen


# Each of these has to be noticed, by the check of that name.
SPOILT = {
    "no error on the console": "console.error('spoilt')",
    "nothing is fetched": "new Promise(done => { const i = new Image(); i.onerror = i.onload = done; i.src = 'file:///spoilt'; })",
    "all sections have their content": "document.querySelectorAll('#map > :not(h2)').forEach(e => e.remove())",
    "nothing is wider than the window": "document.body.append(Object.assign(document.createElement('div'), {style: 'width: 2000px; height: 1px'}))",
    "it can be read": "document.querySelector('p').style.color = 'var(--ground)'",
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    page = os.path.abspath(sys.argv[1])
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        print(f"skipped the page: there is none of {', '.join(BROWSERS)}\n0 passed, 0 failed, 1 skipped")
        sys.exit(4)
    url, passed, failed, missing = f"file://{page}", 0, 0, []

    def result(name, why):
        nonlocal passed, failed
        passed, failed = passed + (not why), failed + bool(why)
        print(f"FAILED  {name}: {why}" if why else f"ok      {name}", flush=True)

    browser = Browser(program)
    try:
        browser.attach()
        for width, height in SIZES:
            for colour in COLOURS:
                browser.open(url, width, height, colour)
                checks, seen = judge(browser, url, colour)
                for name, why in checks.items():
                    result(f"{width} {colour}: {name}", why)
                missing = [m for s in seen["sections"].values() for m in s["missing"]]
                browser.picture(os.path.join(os.path.dirname(page), f"{width}-{colour}.png"))
        for name, script in SPOILT.items():
            browser.open(url, *SIZES[0], "light")
            browser.run(script)
            checks, _ = judge(browser, url, "light")
            result(f"spoilt: {name}", "" if checks[name] else "was not noticed")
    finally:
        browser.close()
    for what in missing:
        print(f"        on the page: {what}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
