# SPDX-License-Identifier: GPL-2.0
"""The plots and the page of make bench.

Each plot is a file of its own and in the page. Their colours are variables of CSS, so
that both can be read on a light and on a dark ground.
"""

import io
import re

import jinja2
import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullFormatter  # noqa: E402

# What matplotlib is given, the variable that replaces it, in light, in dark.
COLOURS = {
    "ink": ("#010101", "#24292f", "#d7dde4"),
    "grid": ("#020202", "#d5dae0", "#3a424c"),
    "rust": ("#030303", "#0969da", "#6cb6ff"),
    "upstream": ("#040404", "#bc4c00", "#f69d50"),
    "other": ("#050505", "#1a7f37", "#6bc46d"),
    "armed": ("#060606", "#8250df", "#c297ff"),
    "on": ("#070707", "#ffffff", "#14181d"),
}
C = {name: given for name, (given, _, _) in COLOURS.items()}

STYLE = {
    "rust": dict(color=C["rust"], marker="o"),
    "upstream": dict(color=C["upstream"], marker="s", linestyle="--"),
    "exit_mmap()": dict(color=C["other"], marker="^", linestyle=":"),
    "on, no module": dict(color=C["other"], marker="^", linestyle=":"),
    "loaded": dict(color=C["rust"], marker="o"),
    "armed for another": dict(color=C["armed"], marker="D", linestyle="--"),
}

plt.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "dup_mmap",
        "font.family": "sans-serif",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": C["ink"],
        "axes.labelcolor": C["ink"],
        "axes.titlecolor": C["ink"],
        "text.color": C["ink"],
        "xtick.color": C["ink"],
        "ytick.color": C["ink"],
        "legend.labelcolor": C["ink"],
        "legend.frameon": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": C["grid"],
        "lines.linewidth": 2,
        "lines.markersize": 6,
        "savefig.transparent": True,
    }
)

THOUSANDS = FuncFormatter(lambda x, _: f"{x:,.0f}")


def css(prefix=""):
    light, dark = ("".join(f"--{n}:{c[i]};" for n, c in COLOURS.items()) for i in (1, 2))
    return f"{prefix}{{{light}}}@media(prefers-color-scheme:dark){{{prefix}{{{dark}}}}}"


def svg_of(figure, name):
    """As text: colours that CSS decides, and identifiers of its own."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    for var, (given, _, _) in COLOURS.items():
        text = text.replace(given, f"var(--{var})")
    left = set(re.findall(r"#[0-9a-f]{6}\b", text))
    assert not left, f"{name}: colours that are nobody's: {left}"
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    return text.replace("<defs>", f"<style>{css('svg')}</style><defs>", 1)


def panels(all_runs, title, ylabel=None):
    """One beside the other, an architecture each."""
    figure, axes = plt.subplots(
        1, len(all_runs), figsize=(5.4 * len(all_runs), 3.7), squeeze=False, sharey=True
    )
    for ax, (arch, _, _) in zip(axes[0], all_runs):
        ax.set_title(arch, fontsize=11)
    axes[0][0].set_ylabel(ylabel)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    return figure, axes[0]


def over_vmas(ax):
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(THOUSANDS)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("VMAs")


def sizes(r, measure):
    return sorted(v for k, v, p in r.shapes(measure) if k == "anon" and p == 1)


def line(ax, label, points):
    points = [(x, y) for x, y in points if y is not None]
    if points:
        ax.plot(*zip(*points), label=label, **STYLE[label])


def finish(figure, axes):
    """The legend has a line of its own, below the title."""
    handles, labels = axes[0].get_legend_handles_labels()
    height = figure.get_figheight()
    figure.legend(
        handles, labels, loc="upper left", ncols=len(labels), bbox_to_anchor=(0, 1 - 0.28 / height)
    )
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / height))
    return figure


def recovery_per_vma(all_runs):
    figure, axes = panels(
        all_runs, "Recovery of everything that a fork copies, per VMA", "instructions a VMA"
    )
    for ax, (_, _, r) in zip(axes, all_runs):
        of = [(v, v + r.value("own VMAs", vmas=v)) for v in sizes(r, "recovery all")]
        for who in ("upstream", "rust"):
            line(ax, who, [(n, r.value("recovery all", who, vmas=v) / n) for v, n in of])
        line(ax, "exit_mmap()", [(n, r.value("exit_mmap", "none", vmas=v) / n) for v, n in of])
        over_vmas(ax)
        ax.yaxis.set_major_formatter(THOUSANDS)
    axes[0].set_ylim(bottom=0)
    return finish(figure, axes)


def recovery_ratio(all_runs):
    figure, axes = panels(all_runs, "Recovery in Rust, compared", "rust / the other")
    for ax, (_, _, r) in zip(axes, all_runs):
        for label, measure, base, place in (
            ("upstream", "recovery 100", "upstream", "100"),
            ("exit_mmap()", "exit_mmap", "none", "all"),
        ):
            both = [
                (v, r.value(f"recovery {place}", "rust", vmas=v), r.value(measure, base, vmas=v))
                for v in sizes(r, "recovery 100")
            ]
            line(ax, label, [(v, a / b) for v, a, b in both if a and b])
        ax.axhline(1, color=C["ink"], linewidth=1)
        over_vmas(ax)
        ax.set_ylim(0.5, 1.05)
    return finish(figure, axes)


def working_fork(all_runs):
    figure, axes = panels(
        all_runs,
        "dup_mmap() of a fork that works, beside the kernel with the option off",
        "per cent more",
    )
    for ax, (_, _, r) in zip(axes, all_runs):
        for label, state in (
            ("on, no module", "none"),
            ("loaded", "loaded"),
            ("armed for another", "armed"),
        ):
            both = [
                (v, r.value("dup_mmap", "off", vmas=v), r.value("dup_mmap", state, vmas=v))
                for v in sizes(r, "dup_mmap")
            ]
            line(ax, label, [(v, 100 * (b / a - 1)) for v, a, b in both if a and b])
        over_vmas(ax)
    return finish(figure, axes)


def parents_lock(all_runs):
    figure, axes = panels(all_runs, "The parent's lock, held after the failure", "instructions")
    found = False
    for ax, (_, _, r) in zip(axes, all_runs):
        for who in ("upstream", "rust"):
            held = [(v, r.value("parent lock 100", who, vmas=v)) for v in sizes(r, "recovery 100")]
            found |= any(y for _, y in held)
            line(ax, who, held)
        over_vmas(ax)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(THOUSANDS)
    return finish(figure, axes) if found else plt.close(figure)


def pages(all_runs):
    figure, axes = panels(all_runs, "Recovery of 1,000 VMAs with more pages", "rust / the other")
    for ax, (_, _, r) in zip(axes, all_runs):
        of = sorted(p for k, v, p in r.shapes("recovery all") if k == "anon" and v == 1000)
        for label, measure, base in (
            ("upstream", "recovery all", "upstream"),
            ("exit_mmap()", "exit_mmap", "none"),
        ):
            both = [
                (
                    p,
                    r.value("recovery all", "rust", vmas=1000, pages=p),
                    r.value(measure, base, vmas=1000, pages=p),
                )
                for p in of
            ]
            line(ax, label, [(p * 1000 * 4096 / 2**20, a / b) for p, a, b in both if a and b])
        ax.axhline(1, color=C["ink"], linewidth=1)
        ax.set_xlabel("MiB")
        ax.set_ylim(0.4, 1.05)
    return finish(figure, axes)


def bars(ax, names, groups):
    """Horizontal, the first on top; groups are a label and a value for each name."""
    height = 0.8 / len(groups)
    for i, (label, values) in enumerate(groups):
        at = [-n - i * height for n in range(len(names))]
        bar = ax.barh(
            at, [v or 0 for v in values], height * 0.9, color=STYLE[label]["color"], label=label
        )
        ax.bar_label(
            bar,
            [f"{v:.3f}" if v else "" for v in values],
            label_type="center",
            color=C["on"],
            fontsize=9,
        )
    ax.set_yticks([-n - height * (len(groups) - 1) / 2 for n in range(len(names))], names)
    ax.grid(axis="y", visible=False)


def shapes(all_runs):
    figure, axes = panels(all_runs, "rust / upstream: where it fails, and what it has copied")
    # Name, place, kind, VMAs, pages.
    of = [
        ("10 % copied", "10", "anon", 1000, 1),
        ("50 % copied", "50", "anon", 1000, 1),
        ("all copied", "all", "anon", 1000, 1),
        ("untouched", "100", "anon", 1000, 0),
        ("16 pages each", "100", "anon", 1000, 16),
        ("64 pages each", "100", "anon", 1000, 64),
        ("file, private", "100", "file-private", 1000, 1),
        ("file, shared", "100", "file-shared", 1000, 1),
        ("hugetlb (100 VMAs)", "100", "hugetlb", 100, 1),
    ]
    figure.set_figheight(4.6)
    for ax, (_, _, r) in zip(axes, all_runs):
        both = [
            [r.value(f"recovery {w}", who, kind=k, vmas=v, pages=p) for who in ("rust", "upstream")]
            for _, w, k, v, p in of
        ]
        bars(ax, [n for n, *_ in of], [("rust", [a / b if a and b else None for a, b in both])])
        ax.axvline(1, color=C["upstream"], linestyle="--", label="upstream")
        ax.set_xlim(0, 1.1)
    return finish(figure, axes)


def several_tasks(all_runs, pair_ratios):
    figure, axes = panels(
        all_runs,
        "Several tasks that fork at once, beside the same without the module",
        "ratio of a pair",
    )
    found = False
    for ax, (_, _, r) in zip(axes, all_runs):
        for i, (unit, label) in enumerate((("instructions", "counted"), ("time", "in time"))):
            for tasks in (1, 2, 4):
                pair = pair_ratios(r, tasks, "none", "loaded", unit)
                if not pair:
                    continue
                found = True
                mid, low, high = pair
                ax.errorbar(
                    tasks + 0.12 * (2 * i - 1),
                    mid,
                    yerr=[[mid - low], [high - mid]],
                    capsize=4,
                    linestyle="none",
                    label=label if tasks == 1 else None,
                    color=C["armed" if i else "rust"],
                    marker="D" if i else "o",
                )
        ax.axhline(1, color=C["ink"], linewidth=1)
        ax.set_xticks([1, 2, 4])
        ax.set_xlabel("tasks")
    return finish(figure, axes) if found else plt.close(figure)


PLOTS = [
    (
        "recovery",
        recovery_per_vma,
        "From the failure to the moment when both locks are dropped. Each VMA has one touched page.",
    ),
    (
        "ratio",
        recovery_ratio,
        "Beside upstream: a failure after all VMAs but the program's own. Beside exit_mmap(): after all.",
    ),
    (
        "lock",
        parents_lock,
        "While it is held no other thread of the parent can map, unmap or fault in memory.",
    ),
    (
        "fork",
        working_fork,
        "What every fork of the machine pays. Mainline is the kernel with the option off.",
    ),
    ("shapes", shapes, "1,000 VMAs unless it says otherwise."),
    (
        "pages",
        pages,
        "A page costs either of them the same, and the more there are the less is left to gain. All VMAs were copied.",
    ),
    (
        "tasks",
        several_tasks,
        "The module is loaded in one slot of a pair, and not in the other. Between the bars is the median of any number of pairs, with 95 %. What is measured in time depends on what else the machine does.",
    ),
]

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>dup_mmap_recovery: what it costs</title>
<style>
{{ css | safe }}
:root { --ground: #ffffff; --soft: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --soft: #1d232a; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
	max-width: 1180px; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .4rem; }
p { max-width: 46rem; }
figure { margin: 1.8rem 0; }
figure svg { max-width: 100%; height: auto; }
figcaption { font-size: .9rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
th { background: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
.no { color: var(--upstream); font-weight: 600; }
</style>
<h1>dup_mmap_recovery: what it costs</h1>
<p>Instructions, counted by QEMU with -icount: they are the same on every machine and
under any load. Caches and TLBs do not count. Made by <code>make bench</code>.</p>
{% for name, svg, caption in plots %}
<figure>{{ svg | safe }}<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
{% for arch, tables in runs %}
<h2>{{ arch }}</h2>
{% for title, head, rows in tables if rows %}
<h3>{{ title[0] | upper }}{{ title[1:] }}</h3>
<div class="table"><table>
<tr>{% for cell in head %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in rows %}
<tr>{% for cell in row %}<td{% if cell == "no" %} class="no"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endfor %}
{% endfor %}
</html>
"""


def write(directory, all_runs, tables, pair_ratios):
    plots = []
    for name, draw, caption in PLOTS:
        figure = draw(all_runs, pair_ratios) if draw is several_tasks else draw(all_runs)
        if not figure:
            continue
        svg = svg_of(figure, name)
        with open(f"{directory}/{name}.svg", "w", encoding="utf-8") as out:
            out.write(svg + "\n")
        plots.append((name, svg, caption))
    env = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = env.from_string(PAGE).render(
        css=css(":root"),
        plots=plots,
        runs=[(arch, list(tables(r, facts))) for arch, facts, r in all_runs],
    )
    with open(f"{directory}/index.html", "w", encoding="utf-8") as out:
        out.write(page)
