# SPDX-License-Identifier: GPL-2.0
"""What make check, check-race, programs and coverage have left."""

import glob
import json
import os

from .files import age, read


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
