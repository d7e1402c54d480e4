# SPDX-License-Identifier: Apache-2.0
"""Pictures with bars: a metric by arm, in one panel for each case."""

from matplotlib.ticker import MaxNLocator

import arms
import canvas
from numerals import quantity, scale_of, short

CRASHES = ("kafka-crash", "kafka-restart-1")
BAR_INCHES = 0.27
READING = "Medians with the least and the greatest; a thick dotted stroke is a target. Hollow " \
    "and dashed: breaks order or loses records."


def fill(look):
    """A bar of what breaks a promise is hollow and dashed, like its marker elsewhere."""
    if look.hollow:
        return {"facecolor": "none", "edgecolor": look.colour, "linestyle": "--",
                "linewidth": 1.5}
    # Others are grey, on dark and on light.
    return {"facecolor": "#8b929a" if look.colour == arms.INK else look.colour}


def bar_panel(panel, case, figures, results, rows):
    size, unit = scale_of(figures[0].unit, max(figure.median for figure in figures))
    looks = [arms.look_of(figure.arm, results.faults(figure.arm, [case])) for figure in figures]
    for row, (figure, look) in enumerate(zip(figures, looks)):
        least, median, most = (value / size for value in (figure.min, figure.median, figure.max))
        panel.barh(row, median, height=0.62, **fill(look))
        panel.plot([least, most], [row, row], color=arms.INK, linewidth=1, marker="|",
                   markersize=5, markeredgewidth=1)
        end = max(most, (figure.target or 0) / size)
        panel.annotate(quantity(figure.median, figure.unit), (end, row), va="center",
                       fontsize=8.5, xytext=(6, 0), textcoords="offset points")
        if figure.target is not None:
            panel.plot([figure.target / size] * 2, [row - 0.42, row + 0.42], color=arms.INK,
                       linewidth=2.5, linestyle=(0, (1, 0.6)))
    panel.set_yticks(range(len(figures)), [look.label for look in looks])
    panel.set_ylim(rows - 0.4, -0.6)
    widest = max(max(figure.max, figure.target or 0) for figure in figures) / size
    panel.set_xlim(0, widest * 1.45 or 1)
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.xaxis.set_major_formatter(short)
    panel.set_xlabel(unit)
    panel.grid(axis="y", visible=False)


def whole_arms(figures):
    """Without those that are only a part of the work, which have a picture of their own."""
    return [figure for arm, figure in figures.items() if not arm.startswith("stage-")]


def bars(results, wanted, name, title, reading):
    """Wanted: (case, metric, title of its panel); one that has no figures is left out."""
    groups = [(case, heading, figures) for case, metric, heading in wanted
              if (figures := whole_arms(results.of(case, metric)))]
    if not groups:
        return None
    columns = min(2, len(groups))
    most = [max(len(figures) for _, _, figures in groups[row:row + columns])
            for row in range(0, len(groups), columns)]
    heights = [0.9 + BAR_INCHES * rows for rows in most]
    made, panels = canvas.figure(0.4 + sum(heights), len(heights), columns,
                                 gridspec_kw={"height_ratios": heights})
    texts = []
    for place, (panel, (case, heading, figures)) in enumerate(zip(panels, groups)):
        bar_panel(panel, case, figures, results, most[place // columns])
        panel.set_title(heading)
        texts += [f"{heading}, {arms.look_of(each.arm, results.faults(each.arm, [case])).label}: "
                  f"{quantity(each.median, each.unit)}" for each in figures]
    for panel in panels[len(groups):]:
        panel.set_visible(False)
    return canvas.picture(name, title, "; ".join(texts), reading + READING, made)


def dispatchers(results):
    """Cases in memory where other dispatchers do the same."""
    wanted = [(case, "throughput", case) for case in results.what if case.startswith("dispatch-")]
    return bars(results, wanted, "dispatch", "Throughput without a log to read from",
                "More is better. ")


def greatest_memory(results):
    wanted = [(case, "rss", case) for case in ("kafka-noop", "kafka-stuck")]
    return bars(results, wanted, "memory", "Greatest resident memory", "Less is better. ")


def crash(results):
    wanted = [(case, metric, f"{case}: {words}") for case in CRASHES
              for metric, words in (("repeats", "ran again"), ("lost", "lost"))]
    return bars(results, wanted, "crash", "Records that a crash repeats or loses",
                "Less is better; what is lost is never handled at all. ")


def stage_parts(results, case):
    """(thread, part, ns) of where a dispatched record's time goes; each stage measured alone."""
    cost = {(figure.arm, figure.metric): figure.median * 1000 for figure in results.of_case(case)}
    stages = [("stage-source", "cpu"), ("stage-copy", "cpu"), ("stage-control", "cpu"),
              ("stage-worker", "cpu"), ("klane", "cpu-control"), ("klane", "cpu-worker")]
    if not all(stage in cost for stage in stages):
        return []
    source, copy, control, worker, whole_control, whole_worker = (cost[each] for each in stages)
    return [
        ("control", "reads the log in memory", source),
        ("control", "copies into a slot, frees it", copy - source),
        ("control", "lane, chain, offsets, ready list, settling", control - copy),
        ("control", "routes, rounds, cache lines from the worker", whole_control - control),
        ("worker", "ring, record, handler, chain, mailbox", worker),
        ("worker", "cache lines from control, looking for work", whole_worker - worker),
    ]


def stages(results):
    case = next((case for case in results.what if stage_parts(results, case)), None)
    if case is None:
        return None
    parts = stage_parts(results, case)
    made, (panel,) = canvas.figure(0.9 + 0.36 * len(parts))
    spent = {"control": 0, "worker": 0}
    for row, (thread, _, cost) in enumerate(parts):
        colour, hatch = (arms.BLUE, "") if thread == "control" else (arms.ORANGE, "//")
        panel.barh(row, cost, left=spent[thread], height=0.62, color=colour, hatch=hatch,
                   label=None if spent[thread] else thread)
        spent[thread] += cost
        panel.annotate(f"{cost:.0f}", (max(spent[thread], spent[thread] - cost), row),
                       va="center", fontsize=8.5, xytext=(5, 0), textcoords="offset points")
    panel.set_yticks(range(len(parts)), [part for _, part, _ in parts])
    panel.set_ylim(len(parts) - 0.4, -0.6)
    panel.set_xlim(0, 1.1 * max(spent.values()))
    panel.set_xlabel("ns")
    panel.grid(axis="y", visible=False)
    panel.legend(loc="upper right")
    text = "; ".join(f"{thread}: {part}: {cost:.0f} ns" for thread, part, cost in parts)
    return canvas.picture("stages", f"Where a record's processor time goes ({case})", text,
                          "Each part begins where the one before it on the same thread ends. "
                          "Stages are measured alone; what is left over is the last part of "
                          "each thread.", made)
