# SPDX-License-Identifier: Apache-2.0
"""Pictures with lines: a figure by handler time, by percentile, by time, by scale."""

import re
from dataclasses import replace

import arms
import canvas
from numerals import SECONDS, quantity, short

HANDLER_TIME = re.compile(r"kafka-(noop|cpu|(\d+)ms)$")
NAMED_TIMES = {"noop": 0, "cpu": 10e-6}  # Of processor time, where the others sleep.
PERCENTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "p9999": "p99.99",
               "max": "max"}
SCALE = re.compile(r"(.+)-(\d+)([km]?)$")
SCALED_METRICS = (("cpu", "CPU s/million records"), ("throughput", "records/s"),
                  ("rss", "bytes"))
SCALED_NAMES = {"kafka-members": "processes"}
THINNED = 300  # points of a series that are drawn
LEGEND_BELOW = {"loc": "upper left", "bbox_to_anchor": (0, -0.2)}
LEGEND_BESIDE = {"loc": "upper left", "bbox_to_anchor": (1.01, 1)}
PANEL_TITLES = {arms.KEY: "order by key", arms.PARTITION: "order by partition",
                arms.NONE: "no order"}
READ_LOG = "Medians with the least and the greatest; both axes are logarithmic, but for 0. " \
    "Lines are moved a little apart. Hollow and dashed: breaks order or loses records."


def handler_times(results):
    """Seconds that a handler takes, by case."""
    times = {}
    for case in results.what:
        match = HANDLER_TIME.match(case)
        if match:
            times[case] = int(match[2]) * 1e-3 if match[2] else NAMED_TIMES[match[1]]
    return dict(sorted(times.items(), key=lambda item: item[1]))


def with_range(panel, places, figures, look, **style):
    """A line through the medians, with bars from the least to the greatest."""
    medians = [figure.median for figure in figures]
    errors = [[figure.median - figure.min for figure in figures],
              [figure.max - figure.median for figure in figures]]
    panel.errorbar(places, medians, yerr=errors, fmt="none", ecolor=look.colour, elinewidth=1)
    panel.plot(places, medians, **look.line_style() | style)


def apart(place, count):
    """How far a line is moved aside so that one that is equal is seen behind it."""
    return place - (count - 1) / 2


def by_mode(results, times, metric):
    """The figures of each arm in the order of the times, by mode and arm; and of the bound."""
    groups = {mode: {} for mode in arms.MODES}
    bound = []
    for case in times:
        for arm, figure in results.of(case, metric).items():
            if arm == arms.BOUND:
                bound.append(figure)
            elif arms.is_plain(arm):
                mode = arms.mode_of(arm, figure.settings)
                groups[mode].setdefault(arm, []).append(figure)
    return {mode: group for mode, group in groups.items() if group}, bound


def mode_panel(panel, group, places, look_of):
    for place, (arm, figures) in enumerate(group.items()):
        aside = 10 ** (0.07 * apart(place, len(group)))
        with_range(panel, [places[figure.case] * aside for figure in figures], figures,
                   look_of(arm, place))


def references(panel, group, bound, keyed, places):
    """What each panel is to be compared with, unless it has it itself."""
    if keyed and keyed is not group.get("klane"):
        panel.plot([places[each.case] for each in keyed], [each.median for each in keyed],
                   color=arms.INK, alpha=0.6, linewidth=1, label="klane, by key")
    if bound:
        with_range(panel, [places[each.case] for each in bound], bound,
                   arms.look_of(arms.BOUND), markersize=5)


def by_handler_time(results, metric, label, title, reading):
    """A panel for each mode, all with the same axes."""
    times = handler_times(results)
    shortest = min((time for time in times.values() if time), default=1e-3)
    places = {case: time or shortest / 10 for case, time in times.items()}
    groups, bound = by_mode(results, times, metric)
    if not groups:
        return None
    faults = {arm: results.faults(arm, times) for group in groups.values() for arm in group}
    figures = [each for group in groups.values() for line in group.values() for each in line]
    made, panels = canvas.figure(4.6, 1, len(groups), sharex=True, sharey=True)
    for panel, (mode, group) in zip(panels, groups.items()):
        panel.set_xscale("log")
        panel.set_yscale("log")
        references(panel, group, bound, groups.get(arms.KEY, {}).get("klane"), places)
        mode_panel(panel, group, places, lambda arm, at: arms.look_of(arm, faults[arm], at))
        panel.set_title(PANEL_TITLES[mode])
        panel.set_xticks(list(places.values()),
                         [quantity(time * 1e6, "us") if time else "0" for time in times.values()])
        panel.minorticks_off()
        panel.set_xlabel("a handler takes")
        panel.legend(**LEGEND_BELOW)
        canvas.log_axis(panel.yaxis, [figure.median for figure in figures])
    panels[0].set_ylabel(label)
    text = "; ".join(f"{arms.look_of(arm, faults[arm]).label}, {mode}: " + ", ".join(
        f"{quantity(figure.median, figure.unit)} at {quantity(times[figure.case] * 1e6, 'us')}"
        for figure in line) for mode, group in groups.items() for arm, line in group.items())
    return canvas.picture(metric, title, text, reading + READ_LOG, made)


def throughput(results):
    return by_handler_time(results, "throughput", "records/s",
                           "Throughput by what a handler takes", "More is better. ")


def processor_time(results):
    return by_handler_time(results, "cpu", "CPU s/million records",
                           "Processor time by what a handler takes",
                           "Less is better; the broker's is not in it. ")


def over_time(results, case, name, unit, title, reading):
    """The series of that name of the case, one line for each arm."""
    series = results.series_of(case, name)
    if not series:
        return None
    made, (panel,) = canvas.figure(4.2)
    for place, (arm, points) in enumerate(series.items()):
        look = arms.look_of(arm, results.faults(arm, [case]), place)
        points = points[::max(1, len(points) // THINNED)] + points[-1:]
        # Where lines lie upon each other their markers do not.
        every = max(1, len(points) // 8)
        panel.plot(*zip(*points), markevery=(place * every // max(1, len(series)), every),
                   **look.line_style())
    panel.set_ylim(bottom=0)
    panel.set_xlim(left=0)
    panel.yaxis.set_major_formatter(short)
    panel.set_xlabel("seconds")
    panel.set_ylabel(unit)
    panel.legend(**LEGEND_BESIDE)
    text = "; ".join(f"{arm}: {quantity(points[-1][1], unit)} after {points[-1][0]:.3g} s"
                     for arm, points in series.items())
    return canvas.picture(f"{name}-over-time", title, text, reading, made)


def progress(results):
    return over_time(
        results, "kafka-stuck", "progress", "records",
        "What others get done while one key is stuck",
        "Records of other keys handled since the start. A line that goes flat waits for the "
        "stuck record.")


def memory(results):
    return over_time(
        results, "kafka-stuck", "memory", "bytes",
        "Resident memory while one key is stuck",
        "A line that rises keeps what the stuck record holds up.")


def latency(results):
    case = "kafka-latency"
    percentiles = {}
    for metric in PERCENTILES:
        figures = {arm: in_seconds(figure) for arm, figure in results.of(case, metric).items()
                   if figure.unit in SECONDS}
        if figures:
            percentiles[metric] = figures
    if not percentiles:
        return None
    names = list(dict.fromkeys(arm for figures in percentiles.values() for arm in figures))
    made, (panel,) = canvas.figure(4.4)
    panel.set_yscale("log")
    texts, values = [], []
    for place, arm in enumerate(names):
        has = [(column, figures[arm]) for column, figures in enumerate(percentiles.values())
               if arm in figures]
        look = arms.look_of(arm, results.faults(arm, [case]), place)
        with_range(panel, [column + 0.07 * apart(place, len(names)) for column, _ in has],
                   [figure for _, figure in has], look)
        values += [figure.median for _, figure in has]
        texts.append(f"{look.label}: " + ", ".join(
            f"{figure.metric} {quantity(figure.median * 1e6, 'us')}" for _, figure in has))
    panel.set_xticks(range(len(percentiles)), [PERCENTILES[metric] for metric in percentiles])
    canvas.log_axis(panel.yaxis, values, "s")
    panel.set_ylabel("latency")
    panel.legend(**LEGEND_BESIDE)
    return canvas.picture("latency", f"Latency by percentile ({case})", "; ".join(texts),
                          "Less is better. Medians of the rounds with the least and the "
                          "greatest; the axis of time is logarithmic.", made)


def in_seconds(figure):
    size = SECONDS[figure.unit]
    return replace(figure, min=figure.min * size, median=figure.median * size,
                   max=figure.max * size)


def scaled(results):
    """What is scaled, as (case, arm, how much, figure)."""
    for figure in results.figures:
        if figure.case.startswith("scale-"):
            if match := SCALE.match(figure.case):
                yield match[1], figure.arm, much_of(match), figure
                continue
        elif figure.case != "kafka-members":
            continue
        if match := SCALE.match(figure.arm):
            yield figure.case, match[1], much_of(match), figure


def much_of(match):
    return int(match[2]) * {"": 1, "k": 1000, "m": 1000000}[match[3]]


def scale_groups(results):
    """By what is scaled: the unit, and points by arm, of the first metric that it has."""
    groups = {}
    for what, arm, much, figure in scaled(results):
        metrics = groups.setdefault(what, {})
        metrics.setdefault(figure.metric, {}).setdefault(arm, []).append((much, figure))
    shown = {}
    for what, metrics in groups.items():
        for metric, unit in SCALED_METRICS:
            if metric in metrics:
                shown[what] = (unit, metrics[metric])
                break
    return shown


def scale_panel(panel, unit, lines, results):
    values = [figure.median for points in lines.values() for _, figure in points]
    places = sorted({much for points in lines.values() for much, _ in points})
    panel.set_xscale("log")
    if min(values) > 0 and max(values) > 20 * min(values):
        panel.set_yscale("log")
        canvas.log_axis(panel.yaxis, values)
    else:
        panel.set_ylim(0, 1.3 * max(figure.max for points in lines.values()
                                    for _, figure in points) or 1)
        panel.yaxis.set_major_formatter(short)
    for place, (arm, points) in enumerate(lines.items()):
        points = sorted(points, key=lambda point: point[0])
        look = arms.look_of(arm, results.faults(arm, {figure.case for _, figure in points}), place)
        with_range(panel, [much for much, _ in points], [each for _, each in points], look)
    panel.set_xticks(places, map(short, places))
    panel.minorticks_off()
    panel.set_ylabel(unit)
    panel.legend(loc="best")


def scale(results):
    groups = scale_groups(results)
    if not groups:
        return None
    columns = min(2, len(groups))
    rows = -(-len(groups) // columns)
    made, panels = canvas.figure(0.6 + 3.2 * rows, rows, columns)
    for panel, (what, (unit, lines)) in zip(panels, groups.items()):
        scale_panel(panel, unit, lines, results)
        panel.set_title(what)
        panel.set_xlabel(SCALED_NAMES.get(what, what.removeprefix("scale-").replace("-", " ")))
    for panel in panels[len(groups):]:
        panel.set_visible(False)
    text = "; ".join(f"{what}, {arm}: " + ", ".join(
        f"{quantity(figure.median, figure.unit)} at {much:,}" for much, figure in points)
        for what, (_, lines) in groups.items() for arm, points in lines.items())
    return canvas.picture("scale", "Cost by scale", text,
                          "Medians with the least and the greatest.", made)
