# SPDX-License-Identifier: GPL-2.0
"""The page of make report.

usage: report_page.py BUILD PAGE COMMIT      from the results in BUILD, of that commit

Whatever is not there has its section all the same, and the command that makes it. The
timelines are what fail-fork --timeline has printed in a guest: the tracepoints of forks
that were run, and nothing else.
"""

import os
import sys
import time

import jinja2

import bench_page
from report_parts import bench, commands, kselftests, timelines

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
    all_kernels = list(kselftests.kernels(build))
    plots, runs = bench.of_bench(build)
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(bench.__file__)),
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
    )
    text = env.get_template("page.html.j2").render(
        css=bench_page.css(":root"),
        commit=commit,
        now=time.strftime("%Y-%m-%d %H:%M"),
        sections=SECTIONS,
        timelines=timelines.of_timelines(build),
        maps=list(kselftests.outcome_maps(all_kernels)),
        outcomes=kselftests.OUTCOMES,
        differences=kselftests.of_differences(all_kernels),
        check=commands.of_check(build),
        kselftests=kselftests.of_kselftests(all_kernels),
        programs=commands.of_programs(build),
        upstream=commands.of_upstream(build),
        race=list(commands.of_race(build)),
        coverage=list(commands.of_coverage(build)),
        sweeps=kselftests.of_sweeps(all_kernels),
        plots=plots,
        runs=runs,
    )
    with open(page, "w", encoding="utf-8") as out:
        out.write(text)


if __name__ == "__main__":
    main()
