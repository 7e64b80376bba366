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


def table_of(path, keys):
    """The rows of a file of objects with these keys; none if there is no such file."""
    try:
        runs = json.loads(read(path))
    except ValueError:
        return []
    return [["-" if run.get(key) is None else str(run[key]) for key in keys] for run in runs]


def of_programs(build):
    """What make programs has left, as a table: of each program the last run of each kind."""
    head = ["program", "recovery", "kernel", "forks", "failed", "seconds", "verdict", "ended"]
    return head, table_of(f"{build}/programs/programs.json", head)


def of_upstream(build):
    """What the kernel's own kselftests say on each kernel, as a table."""
    head = ["arch", "kernel", "ok", "not_ok", "skipped", "seconds", "ended"]
    return [key.replace("_", " ") for key in head], table_of(f"{build}/programs/upstream-selftests.json", head)


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
