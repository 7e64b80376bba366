# SPDX-License-Identifier: GPL-2.0
"""A fork that failed under each recovery: drawn, as text, and who has seen what of it."""

import re

import bench_page
from bench_page import C, plt

from .files import read

RECOVERIES = {
    "rust": "rust: the module",
    "upstream": "upstream: the C code of 7.3",
    "xa-zero": "xa-zero: as Linux 6.14 to 6.19",
    "xa-zero-bare": "xa-zero-bare: as Linux 6.8 to 6.13",
}
PLACES = ("before-recovery", "parent-unlocked", "after-recovery", "after-unlock")


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
