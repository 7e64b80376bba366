# SPDX-License-Identifier: GPL-2.0
"""What the kselftests have printed: results, and the tables of three programs."""

import glob
import os
import re

from .files import age, read

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
