# SPDX-License-Identifier: GPL-2.0
"""What make bench has measured: its plots and tables."""

import importlib.machinery
import importlib.util
import os

import bench_page


def neighbour(name):
    """A program beside bench_page.py, as a module."""
    path = os.path.join(os.path.dirname(bench_page.__file__), name)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


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
