# SPDX-License-Identifier: GPL-2.0
"""The page of make report.

usage: report_page.py BUILD PAGE COMMIT      from the results in BUILD, of that commit

Whatever is not there has its section all the same, and the command that makes it. The
timelines are what fail-fork --timeline has printed in a guest: the tracepoints of forks
that were run, and nothing else.
"""

import glob
import importlib.machinery
import importlib.util
import json
import os
import re
import sys
import time

import jinja2

import bench_page
from bench_page import C, plt

RECOVERIES = {
    "rust": "rust: the module",
    "upstream": "upstream: the C code of 7.3",
    "xa-zero": "xa-zero: as Linux 6.14 to 6.19",
    "xa-zero-bare": "xa-zero-bare: as Linux 6.8 to 6.13",
}
PLACES = ("before-recovery", "parent-unlocked", "after-recovery", "after-unlock")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def age(path):
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(os.path.getmtime(path)))


def neighbour(name):
    """A program of this directory, as a module."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


# Timelines


class Timeline:
    """One fork that failed, as fail-fork --timeline prints it."""

    EVENT = re.compile(r"^ *(\d+)  (\S+) +(.*)$")

    def __init__(self, recovery, place, lines):
        self.recovery, self.place = recovery, place
        self.lines = [line for line in lines if line.strip()]
        self.events = [
            (int(m[1]), m[2], m[3]) for m in map(self.EVENT.match, self.lines) if m
        ]

    def when(self, what, default=None):
        return next((t for t, _, w in self.events if w.startswith(what)), default)

    def locked(self, who):
        """From when to when it has that lock."""
        at = [t for t, locks, _ in self.events if who in locks.split("+")]
        if not at:
            return None
        after = [t for t, locks, _ in self.events if t >= at[-1] and who not in locks.split("+")]
        return at[0], after[0] if after else at[-1]

    @property
    def failed(self):
        return self.when("fails: ")

    @property
    def ends(self):
        return self.when("ends, ")

    @property
    def held(self):
        begin = self.when("is held, ")
        return None if begin is None else (begin, self.when("goes on, ", begin))

    @property
    def look(self):
        """What another one has seen: verdict, and how many entries of each kind."""
        for t, _, what in self.events:
            m = re.match(r"another: looks: (\S+), (\d+) copies, (\d+) marks, (\d+) of", what)
            if m:
                return t, m[1], int(m[2]), int(m[3]), int(m[4])
        return None

    def look_text(self):
        if not self.look:
            return "is not held there"
        _, verdict, own, marks, parents = self.look
        if verdict != "stale":
            return verdict
        return f"stale: {own} copies, {marks} mark, {parents} of the parent"


def timelines(path):
    text = read(path)
    found = {}
    for part in re.split(r"^== ", text, flags=re.M)[1:]:
        head, *lines = part.splitlines()
        words = head.split()
        if len(words) != 2:
            continue
        one = Timeline(*words, lines)
        if one.failed is not None and one.ends is not None:
            found[tuple(words)] = one
    return (text.splitlines() or [""])[0].lstrip("# "), found


def draw_timeline(one):
    """Locks, steps, teardown and window; while it is held the time is cut short."""
    begin, end = one.held or (one.events[-1][0],) * 2
    active = one.events[-1][0] - (end - begin)
    gap = 0.45 * active if one.held else 0
    last = active + gap + 0.08 * active

    def at(t):
        if t <= begin:
            return t
        if t >= end:
            return t - (end - begin) + gap
        return begin + gap * (t - begin) / (end - begin)

    figure, ax = plt.subplots(figsize=(6.2, 2.7))
    rows = ["parent's lock", "child's lock", "the fork", "others"]
    y = {name: -i for i, name in enumerate(rows)}

    def bar(row, t0, t1, colour, **how):
        ax.barh(y[row], at(t1) - at(t0), 0.5, left=at(t0), color=colour, **how)

    for row, who, colour in (
        ("parent's lock", "parent", C["upstream"]),
        ("child's lock", "child", C["armed"]),
    ):
        if one.locked(who):
            bar(row, *one.locked(who), colour)
    steps = [at(t) for t, _, what in one.events if what.startswith("step ")]
    ax.vlines(steps, y["the fork"] - 0.25, y["the fork"] + 0.25, color=C["ink"], linewidth=0.8)
    later = one.recovery.startswith("xa-zero")
    if later:
        ax.barh(
            y["the fork"], last - at(end), 0.5, left=at(end), color="none",
            edgecolor=C["rust"], hatch="////", linewidth=1,
        )
    else:
        bar("the fork", one.failed, one.ends, C["rust"])
    ax.plot(at(one.failed), y["the fork"], "X", color=C["ink"], markersize=9)
    if one.held and one.look:
        # From the moment when nobody has the lock any more.
        if one.look[1] == "clean":
            bar("others", one.ends, end, C["other"])
        else:
            bar("others", one.ends, end, "none", edgecolor=C["upstream"], hatch="xxxx", linewidth=1)
    if one.look:
        ax.plot(at(one.look[0]), y["others"], "o", color=C["ink"])
        ax.annotate(
            one.look_text(), (at(one.look[0]), y["others"] - 0.35), ha="right", va="top", fontsize=10
        )
    ticks = []
    # Those that count most have their number, the others if there is room.
    for t in (0, end, one.ends, one.failed, one.when("unlocks the ", 0)):
        if all(abs(at(t) - at(other)) > 0.1 * last for other in ticks):
            ticks.append(t)
    ax.set_xticks([at(t) for t in ticks], [f"{t:,}" for t in ticks])
    ax.set_yticks([y[r] for r in rows], rows)
    ax.set_xlim(-0.02 * last, last)
    ax.set_ylim(y["others"] - 0.95, 0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("microseconds")
    ax.set_title(RECOVERIES[one.recovery], fontsize=12, loc="left")
    figure.tight_layout()
    return bench_page.svg_of(figure, f"timeline-{one.recovery}")


def of_timelines(build):
    kernel, found = timelines(f"{build}/report/timelines.txt")
    main = [found[r, "after-unlock"] for r in RECOVERIES if (r, "after-unlock") in found]
    rows = [
        [r, *(found[r, p].look_text() if (r, p) in found else "?" for p in PLACES)]
        for r in RECOVERIES
        if any(key[0] == r for key in found)
    ]
    return {
        "kernel": kernel,
        "drawn": [(t.recovery, draw_timeline(t), "\n".join(t.lines)) for t in main],
        "head": ["recovery", *PLACES],
        "looks": rows,
    }


# Results of kselftests

END = "the program has ended"


def kernels(build):
    """Each kernel that has results: its name, when, and what it said, a program each."""
    for path in sorted(glob.glob(f"{build}/*/kselftest.out")):
        programs, name = {}, None
        for line in read(path).splitlines():
            if line.startswith("# selftests: "):
                name = line.split(": ", 2)[2]
                programs[name] = []
            elif line.startswith("# ") and name:
                programs[name].append(line[2:])
            elif name and re.match(rf"(not )?ok \d+ selftests: \S+ {re.escape(name)}\b", line):
                programs[name].append(END)
                name = None
        if programs:
            yield os.path.basename(os.path.dirname(path)), age(path), programs


def result_of(lines):
    passed = failed = skipped = 0
    for line in lines:
        if re.match(r"not ok \d+", line):
            failed += 1
        elif re.match(r"ok \d+.*# SKIP", line):
            skipped += 1
        elif re.match(r"ok \d+", line):
            passed += 1
    if failed:
        return f"{failed} failed"
    if END not in lines:
        return f"failed to end, {passed} passed"
    return f"{passed}" + (f" + {skipped} skipped" if skipped else "")


def of_kselftests(all_kernels):
    names = list(dict.fromkeys(n for _, _, programs in all_kernels for n in programs))
    head = ["program", *(f"{kernel}, {when}" for kernel, when, _ in all_kernels)]
    rows = [
        [n, *(result_of(p[n]) if n in p else "-" for _, _, p in all_kernels)] for n in names
    ]
    return head, rows


OUTCOMES = {
    "works": ("\N{MIDDLE DOT}", "there is no such step for it: fork() works"),
    "before": ("b", "it fails before there is anything to undo"),
    "none": ("0", "it fails before a VMA was copied"),
    "partial": ("\N{VULGAR FRACTION ONE HALF}", "some VMAs were copied, and undone"),
    "all": ("1", "all VMAs were copied, and undone"),
    "wrong": ("!", "it was not as it must be"),
    "differs": ("?", "rust and upstream differ"),
}
POSITIONS = ("first", "middle", "last")


def outcome_maps(all_kernels):
    """Of each kernel: the points, and for each kind of VMA what each of them came to as the
    first, a middle and the last VMA. Both recoveries have to come to the same."""
    for kernel, when, programs in all_kernels:
        lines = programs.get("failure_points", [])
        found, skips, points = {}, {}, []
        for line in lines:
            m = re.match(r"# map: (\S+), (\S+), (\S+): (.*)$", line)
            if m:
                outcomes = dict(word.split("=", 1) for word in m[4].split())
                points = list(outcomes)
                found.setdefault(m[1], {}).setdefault(m[2], {})[m[3]] = outcomes
                continue
            m = re.match(r"ok \d+ (\S+), (\S+) # SKIP (.*)$", line)
            if m:
                skips.setdefault(m[1], {})[m[2]] = m[3]
        if not found:
            continue
        rows = []
        for kind in list(dict.fromkeys([*found, *skips])):
            cells = []
            for point in points:
                cell = []
                for position in POSITIONS:
                    seen = {o.get(point) for o in found.get(kind, {}).get(position, {}).values()}
                    what = "wrong" if "wrong" in seen else "differs" if len(seen) > 1 else "".join(seen)
                    sign, text = OUTCOMES.get(what, ("-", skips.get(kind, {}).get(position, "?")))
                    cell.append((what or "skip", sign, f"{kind}, {position}, {point}: {text}"))
                cells.append(cell)
            why = set(skips.get(kind, {}).values()) if kind not in found else ()
            rows.append((kind, cells, "; ".join(sorted(why))))
        yield kernel, when, points, rows


def of_sweeps(all_kernels):
    rows = []
    rate = re.compile(r"# (\d+) forks failed in ([\d.]+) s, (\d+) a second, (\d+) VMAs$")
    for kernel, when, programs in all_kernels:
        who = "upstream"
        for line in programs.get("sweep", []):
            m = rate.match(line)
            if m:
                # It says so for the recovery in Rust first, each time.
                who = "upstream" if who == "rust" else "rust"
                rows.append([kernel, who, m[4], m[1], m[2], m[3]])
    return ["kernel", "recovery", "VMAs", "forks that failed", "seconds", "a second"], rows


def of_differences(all_kernels):
    """What a recovery does otherwise than upstream, over one plan of failures."""
    rows = []
    line_of = re.compile(r"# difference: (\S+) +(?:(none) in (\d+) failures|(.*?)  +(\d+) of (\d+), first (.*))$")
    for kernel, when, programs in all_kernels:
        for line in programs.get("differences", []):
            m = line_of.match(line)
            if m and m[2]:
                rows.append([kernel, m[1], "nothing", f"0 of {m[3]}", ""])
            elif m:
                rows.append([kernel, m[1], m[4], f"{m[5]} of {m[6]}", m[7]])
    return ["kernel", "recovery", "differs from upstream in", "failures", "the first one"], rows


# Results of commands


def of_check(build):
    rows = []
    for path in sorted(glob.glob(f"{build}/check/*.out")):
        lines = read(path).strip().splitlines()
        last = lines[-1] if lines else "nothing was said"
        bad = [line for line in lines if line.startswith("FAILED")]
        rows.append([os.path.basename(path)[: -len(".out")], age(path), last, "; ".join(bad[:3])])
    return rows


def of_race(build):
    for path in (*sorted(glob.glob(f"{build}/check/check-race*.out")),
                 *sorted(glob.glob(f"{build}/*/check-race*.out")),
                 *sorted(glob.glob(f"{build}/check-race*.out"))):
        if read(path).strip():
            yield os.path.relpath(path, build), age(path), read(path).strip()[-6000:]


def of_programs(build):
    """What make programs has left, as a table."""
    path = f"{build}/programs/programs.json"
    head = ["program", "recovery", "kernel", "forks", "failed", "seconds", "verdict"]
    try:
        runs = json.loads(read(path))
    except ValueError:
        return None, head, []
    rows = [[run["program"], run["recovery"], run["kernel"], run["forks"], run["failed"], run["seconds"],
             run["verdict"]] for run in runs]
    return age(path), head, [["-" if cell is None else str(cell) for cell in row] for row in rows]


def of_upstream(build):
    """What the kernel's own kselftests say on each kernel, as a table."""
    head = ["architecture", "kernel", "ok", "not ok", "skipped", "seconds"]
    try:
        runs = json.loads(read(f"{build}/programs/upstream-selftests.json"))
    except ValueError:
        return head, []
    rows = [[run["arch"], run["kernel"], run["ok"], run["not_ok"], run["skipped"], run["seconds"]] for run in runs]
    return head, [["-" if cell is None else str(cell) for cell in row] for row in rows]


def of_bench(build):
    if not any(os.path.exists(f"{build}/bench/{arch}.json") for arch in ("x86_64", "arm64")):
        return [], []
    report = neighbour("bench-report")
    try:
        all_runs = [
            (o["arch"], o["facts"], report.Results(o["results"]))
            for o in report.runs(f"{build}/bench")
        ]
    except (ValueError, KeyError):
        return [], []
    plots = []
    for name, draw, caption in bench_page.PLOTS:
        more = (report.pair_ratios,) if draw is bench_page.several_tasks else ()
        figure = draw(all_runs, *more)
        if figure:
            plots.append((name, bench_page.svg_of(figure, f"bench-{name}"), caption))
    return plots, [(arch, list(report.tables(r, facts))) for arch, facts, r in all_runs]


def of_coverage(build):
    """Of each kernel that was built for it: a table of the files, and their annotated lines."""
    for path in sorted(glob.glob(f"{build}/*/coverage.json")):
        files = json.loads(read(path))
        rows, sources = [], []
        for name, f in files.items():
            rest = f["regions"] - f["reached"] - f["excepted"]
            rows.append([name, *map(str, (f["regions"], f["reached"], f["excepted"], rest))])
            lines = []
            for nr, text in enumerate(f["source"], 1):
                hit, left, why = f["lines"].get(str(nr), (0, 0, ""))
                kind = "" if not hit + left else "hit" if not left else "why" if why else "left"
                lines.append((nr, f"{hit}/{hit + left}" if hit + left else "", kind, text, why))
            sources.append((name, lines))
        yield os.path.basename(os.path.dirname(path)), age(path), rows, sources


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>dup_mmap_recovery: a report</title>
<style>
{{ css | safe }}
:root { --ground: #ffffff; --soft: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --soft: #1d232a; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
	max-width: 1180px; margin: 0 auto; padding: 1.5rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .4rem; }
p, dl { max-width: 46rem; }
nav a, a { color: var(--rust); }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 1rem 0; }
figure { margin: 1rem 0; min-width: 0; }
figure svg { max-width: 100%; height: auto; }
figcaption { font-size: .9rem; }
.pairs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 0 1.5rem; }
.table { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
th { background: var(--soft); font-weight: 600; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
.map td, .map th { padding: .15rem .35rem; text-align: center; }
.map th.point { writing-mode: vertical-rl; text-align: left; padding: .4rem .15rem; }
.map td:first-child { text-align: left; }
.map i { display: inline-block; width: 1.15em; text-align: center; font-style: normal; border-radius: 2px; margin: 0 1px; }
.map i.none, .map i.partial, .map i.all { background: var(--other); color: var(--on); }
.map i.before { background: var(--grid); }
.map i.wrong, .map i.differs { background: var(--upstream); color: var(--on); font-weight: 700; }
.source { line-height: 1.35; }
.source b { font-weight: 400; display: inline-block; min-width: 5.5em; color: inherit; opacity: .75; }
.source .left { background: var(--upstream); color: var(--on); }
.source .why { border-left: 4px solid var(--upstream); }
.source .hit { border-left: 4px solid var(--rust); }
.source .left, .source .why, .source .hit { padding-left: .3rem; }
.no, .missing { color: var(--upstream); }
.no { font-weight: 600; }
.missing { border-left: 4px solid; padding-left: .8rem; }
pre { font-size: .78rem; overflow-x: auto; background: var(--soft); padding: .6rem; }
summary { cursor: pointer; font-size: .9rem; }
</style>

{%- macro table(head, rows, class="") %}
<div class="table"><table class="{{ class }}">
<tr>{% for cell in head %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in rows %}
<tr>{% for cell in row %}<td{% if cell == "no" or "FAILED" in cell or "failed" in cell and not " 0 failed" in cell %} class="no"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{%- endmacro %}

{%- macro missing(what, command) %}
<p class="missing">{{ what }}: not there. <code>{{ command }}</code> makes it.</p>
{%- endmacro %}

<h1>dup_mmap_recovery: a report</h1>
<p>Of {{ commit }}, {{ now }}. Made by <code>make report</code> from the results that are in
<code>build/</code>; when each was made is beside it.</p>
<nav>{% for id, title in sections %}<a href="#{{ id }}">{{ title }}</a>{% endfor %}</nav>

<section id="timeline">
<h2>A fork that fails, under each recovery</h2>
{% if timelines.drawn %}
<p>A shell forks, and the page tables of a VMA in the middle cannot be copied. Each is one fork of a
guest ({{ timelines.kernel }}), drawn from the tracepoints. A thin line is a step, the cross the
failure, the blue bar the child being taken apart (hatched: afterwards, with its lock taken anew).
When the fork has dropped its locks others get in: green if there is nothing to be found, crossed if
there is. It is held there, and the dot is somebody who looks. The time of that is cut short. What a machine that
is emulated takes says nothing of a real one.</p>
<div class="pairs">
{% for recovery, svg, text in timelines.drawn %}
<figure>{{ svg | safe }}
<figcaption><details><summary>{{ recovery }}, as text</summary><pre>{{ text }}</pre></details></figcaption></figure>
{% endfor %}
</div>
<h3>Who looks when: what is found of the child while the fork is held</h3>
<p>&ldquo;locked&rdquo;: nobody gets in. &ldquo;clean&rdquo;: there is nothing to be found.
&ldquo;stale&rdquo;: there is, and a VMA of the parent may be freed at any time.
Only the recovery in Rust comes to parent-unlocked, and not on User Mode Linux.</p>
{{ table(timelines.head, timelines.looks, "words") }}
{% else %}
{{ missing("The timelines", "make report") }}
{% endif %}
</section>

<section id="map">
<h2>Failure points and kinds of VMA</h2>
{% for kernel, when, points, rows in maps %}
<details{% if loop.first %} open{% endif %}><summary>{{ kernel }}, {{ when }}</summary>
<p>Three signs each: as the first VMA, in the middle, as the last. Each was judged under rust and under
upstream, and stands for both.</p>
<p class="map">{% for name, (sign, text) in outcomes.items() %}<i class="{{ name }}">{{ sign }}</i> {{ text }}{{ ". " if not loop.last }}{% endfor %}</p>
<div class="table"><table class="map">
<tr><th>VMA</th>{% for point in points %}<th class="point">{{ point }}</th>{% endfor %}</tr>
{% for kind, cells, why in rows %}
<tr><td>{{ kind }}</td>
{% if why %}<td colspan="{{ points | length }}">{{ why }}</td>{% else %}
{% for cell in cells %}<td>{% for class, sign, title in cell %}<i class="{{ class }}" title="{{ title }}">{{ sign }}</i>{% endfor %}</td>{% endfor %}
{% endif %}</tr>
{% endfor %}
</table></div></details>
{% else %}
{{ missing("The map", "make quick") }}
{% endfor %}
</section>

<section id="differences">
<h2>What differs between the recoveries</h2>
{% if differences[1] %}
<p>One plan of failures under all four: each step, for a VMA of each kind and for the first and the last
one. Of each failure: what fork() says, the record, what an observer finds of the child, Committed_AS.</p>
{{ table(differences[0], differences[1], "words") }}
{% else %}
{{ missing("The differences", "make kselftest T=differences") }}
{% endif %}
</section>

<section id="check">
<h2>Tests</h2>
{% if check %}
<h3>make check</h3>
{{ table(["part", "when", "result", ""], check, "words") }}
{% else %}
{{ missing("make check", "make check") }}
{% endif %}
<h3>kselftests</h3>
{% if kselftests[1] %}
<p>Results that passed, for each program and kernel.</p>
{{ table(*kselftests) }}
{% else %}
{{ missing("The kselftests", "make quick") }}
{% endif %}
</section>

<section id="programs">
<h2>Real programs</h2>
{% if programs[2] %}
<p>From {{ programs[0] }}. Some of the forks were made to fail, somewhere. The verdict is the program's own and the
kernel's.</p>
{{ table(programs[1], programs[2]) }}
{% else %}
{{ missing("What PostgreSQL, Python and others do when forks fail", "make programs") }}
{% endif %}
{% if upstream[1] %}
<h3>The kernel's own kselftests</h3>
<p>Their results without the patches, with them, and with the module loaded. No fork is made to fail.</p>
{{ table(*upstream) }}
{% endif %}
</section>

<section id="race">
<h2>The race</h2>
{% for name, when, text in race %}
<h3>{{ name }}, {{ when }}</h3>
<pre>{{ text }}</pre>
{% else %}
{{ missing("What swapoff and uprobes do to the child of Linux 6.8", "make check-race") }}
{% endfor %}
</section>

<section id="coverage">
<h2>Regions of the source that the tests reach</h2>
{% for kernel, when, rows, sources in coverage %}
<h3>{{ kernel }}, {{ when }}</h3>
<p>A region runs as a whole or not at all. Beside a line is how many begin there, and how many of these
have run. Those with a reason are in <code>configs/coverage-exceptions</code>.</p>
{{ table(["file", "regions", "run", "with a reason", "left"], rows) }}
{% for name, lines in sources %}
<details><summary>{{ name }}</summary>
<pre class="source">{% for nr, n, kind, text, why in lines %}
<span class="{{ kind }}"{% if why %} title="{{ why }}"{% endif %}><b>{{ nr }} {{ n }}</b>{{ text }}</span>
{% endfor %}</pre></details>
{% endfor %}
{% else %}
{{ missing("The coverage", "make coverage") }}
{% endfor %}
</section>

<section id="sweep">
<h2>The sweep: every step and allocation of a fork</h2>
{% if sweeps[1] %}
<p>Forks that failed, with all that is checked after each. Debug kernels are slow.</p>
{{ table(*sweeps) }}
{% else %}
{{ missing("The sweep", "make kselftest T=sweep") }}
{% endif %}
</section>

<section id="bench">
<h2>What it costs</h2>
{% if plots %}
<p>Instructions, counted by QEMU with -icount: they are the same on every machine and under any load.</p>
{% for name, svg, caption in plots %}
<figure>{{ svg | safe }}<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
{% for arch, tables in runs %}
<details><summary>{{ arch }}: the tables</summary>
{% for title, head, rows in tables if rows %}
<h3>{{ title[0] | upper }}{{ title[1:] }}</h3>
{{ table(head, rows) }}
{% endfor %}
</details>
{% endfor %}
{% else %}
{{ missing("The measurements", "make bench") }}
{% endif %}
</section>
</html>
"""

SECTIONS = [
    ("timeline", "Timeline"),
    ("map", "Failure points"),
    ("differences", "Differences"),
    ("check", "Tests"),
    ("programs", "Programs"),
    ("race", "Race"),
    ("coverage", "Coverage"),
    ("sweep", "Sweep"),
    ("bench", "Cost"),
]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    build, page, commit = sys.argv[1:]
    all_kernels = list(kernels(build))
    plots, runs = of_bench(build)
    env = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = env.from_string(PAGE).render(
        css=bench_page.css(":root"),
        commit=commit,
        now=time.strftime("%Y-%m-%d %H:%M"),
        sections=SECTIONS,
        timelines=of_timelines(build),
        maps=list(outcome_maps(all_kernels)),
        outcomes=OUTCOMES,
        differences=of_differences(all_kernels),
        check=of_check(build),
        kselftests=of_kselftests(all_kernels),
        programs=of_programs(build),
        upstream=of_upstream(build),
        race=list(of_race(build)),
        coverage=list(of_coverage(build)),
        sweeps=of_sweeps(all_kernels),
        plots=plots,
        runs=runs,
    )
    with open(page, "w", encoding="utf-8") as out:
        out.write(text)


if __name__ == "__main__":
    main()
