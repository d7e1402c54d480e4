#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From DIR/results.json make DIR/report.md, which is printed too, and DIR/report.png.

Usage: bench/report.py DIR
"""

import json
import math
import os
import sys

PREFIXES = [(1e9, "G"), (1e6, "M"), (1e3, "k")]
# A panel shows the first of them that a case has.
CHART_METRICS = ["pause", "p99", "bytes", "rss-over", "repeats", "ideal-time",
                 "throughput"]
CHART_COLUMNS = 3


def number(value, metric):
    if metric in ("throughput", "rss", "rss-over"):
        for size, prefix in PREFIXES:
            if value >= size:
                return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def target(figure):
    if figure["target"] is None:
        return "", ""
    more = figure["better"] == "more"
    reached = figure["median"] >= figure["target"] if more else \
        figure["median"] <= figure["target"]
    return f"{'≥' if more else '≤'} {number(figure['target'], figure['metric'])}", \
        "yes" if reached else "**no**"


def by_case(figures):
    cases = {}
    for figure in figures:
        cases.setdefault(figure["case"], []).append(figure)
    return cases


def machine(settings):
    names = ("cpu", "cores", "machine", "compiler", "klane", "rounds")
    line = ", ".join(f"{name}: {settings[name]}" for name in names)
    return line + ("; **quick: small counts, no measurement**" if settings["quick"] else "")


def own_settings(figures):
    """What an arm was run with, without what all have in common."""
    common = {"machine", "cpu", "cores", "compiler", "klane", "rounds", "quick"}
    lines = {}
    for figure in figures:
        own = ", ".join(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
                        for name, value in figure["settings"].items() if name not in common)
        lines.setdefault(own, []).append(figure["arm"])
    return [f"- {', '.join(dict.fromkeys(arms))}: {own}" for own, arms in lines.items() if own]


def stages(figures):
    """The table of where a dispatched record's time goes, from the cpu figures of the stages."""
    cost = {(figure["arm"], figure["metric"]): figure["median"] * 1000 for figure in figures}
    if ("stage-worker", "cpu") not in cost or ("klane", "cpu-control") not in cost:
        return []
    source, copy, control, worker = (cost[f"stage-{name}", "cpu"]
                                     for name in ("source", "copy", "control", "worker"))
    parts = [
        ("control: read the log in memory", source),
        ("control: copy into a slot, free it", copy - source),
        ("control: lane, chain, offsets, ready list, settling", control - copy),
        ("control: routes, rounds, cache lines that come from the worker",
         cost["klane", "cpu-control"] - control),
        ("**control**, as it runs", cost["klane", "cpu-control"]),
        ("worker: ring, record, handler, chain, mailbox", worker),
        ("worker: cache lines that come from control, looking for work",
         cost["klane", "cpu-worker"] - worker),
        ("**worker**, as it runs", cost["klane", "cpu-worker"]),
    ]
    return ["", "Where the processor time of a record goes (ns; each stage measured alone):", "",
            "| part | ns |", "|---|---:|"] + \
        [f"| {name} | {value:.0f} |" for name, value in parts]


def report(figures):
    cases = by_case(figures)
    lines = ["# klane's benchmarks", "", machine(figures[0]["settings"]), "",
             "Medians of all rounds, with the least and the greatest.", ""]
    for name, group in cases.items():
        lines += [f"## {name}", "", group[0]["what"], "",
                  "| arm | metric | median | least | greatest | unit | target | reached |",
                  "|---|---|---:|---:|---:|---|---:|---|"]
        for figure in group:
            values = [number(figure[key], figure["metric"]) for key in ("median", "min", "max")]
            lines.append("| " + " | ".join([figure["arm"], figure["metric"], *values,
                                            figure["unit"], *target(figure)]) + " |")
        lines += stages(group)
        lines += ["", *own_settings(group), ""]
    return "\n".join(lines)


def panel(axes, name, group):
    has = {figure["metric"] for figure in group}
    metric = "rss" if name == "idle-keys" else next(each for each in CHART_METRICS if each in has)
    bars = [figure for figure in group if figure["metric"] == metric][::-1]
    medians = [figure["median"] for figure in bars]
    errors = [[figure["median"] - figure["min"] for figure in bars],
              [figure["max"] - figure["median"] for figure in bars]]
    colours = ["#2a6f97" if figure["arm"].startswith("klane") else "#b8c4cc" for figure in bars]
    axes.barh([figure["arm"] for figure in bars], medians, xerr=errors, color=colours,
              error_kw={"ecolor": "#444444", "elinewidth": 1, "capsize": 2})
    widest = max(figure["max"] for figure in bars)
    for row, figure in enumerate(bars):
        fits = figure["median"] > widest / 6
        axes.annotate(" " + number(figure["median"], metric),
                      (0 if fits else figure["max"], row), va="center", fontsize=8,
                      color="white" if fits and figure["arm"].startswith("klane") else "black")
        if figure["target"] is not None:
            axes.plot([figure["target"]] * 2, [row - 0.4, row + 0.4], color="#d1495b", lw=2)
    axes.set_title(f"{name}: {metric}, {bars[0]['unit']}", fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.set_xlim(left=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def chart(figures, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    cases = by_case(figures)
    rows = math.ceil(len(cases) / CHART_COLUMNS)
    figure, grid = pyplot.subplots(rows, CHART_COLUMNS, squeeze=False,
                                   figsize=(5 * CHART_COLUMNS, 1.9 * rows + 0.5))
    panels = [axes for row in grid for axes in row]
    for axes, (name, group) in zip(panels, cases.items()):
        panel(axes, name, group)
    for axes in panels[len(cases):]:
        axes.set_visible(False)
    figure.suptitle("klane: medians, with least and greatest; red: target", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    with open(os.path.join(arguments[0], "results.json"), encoding="utf-8") as file:
        figures = json.load(file)
    if not figures:
        print("no case has figures", file=sys.stderr)
        return 1
    text = report(figures)
    with open(os.path.join(arguments[0], "report.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
    chart(figures, os.path.join(arguments[0], "report.png"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
