# SPDX-License-Identifier: Apache-2.0
"""Reads results.json: the only place that knows its form."""

import json
import math
import numbers
from dataclasses import dataclass, field

NAMES = ("case", "arm", "metric", "unit")
VALUES = ("min", "median", "max")
SERIES = ("progress", "memory")
# Metrics of which anything above 0 breaks a promise, and what is said of the arm then.
FAULTS = {"disorder": "breaks order", "lost": "loses records"}


class BadResults(Exception):
    """What is wrong with the file."""


@dataclass(frozen=True)
class Figure:
    case: str
    arm: str
    metric: str
    unit: str
    min: float
    median: float
    max: float
    runs: int
    more_is_better: bool
    target: float | None
    settings: dict

    @property
    def reached(self):
        """None: there is no target."""
        if self.target is None:
            return None
        return self.median >= self.target if self.more_is_better else self.median <= self.target


@dataclass
class Results:
    figures: list = field(default_factory=list)
    left_out: list = field(default_factory=list)  # (case, arm, reason)
    series: dict = field(default_factory=dict)    # (case, arm, name): [(seconds, value)]
    run: dict = field(default_factory=dict)
    what: dict = field(default_factory=dict)      # of each case, in the order of the file

    def of(self, case, metric):
        """The figures by arm."""
        return {figure.arm: figure for figure in self.figures
                if (figure.case, figure.metric) == (case, metric)}

    def of_case(self, case):
        return [figure for figure in self.figures if figure.case == case]

    def series_of(self, case, name):
        return {arm: points for (its_case, arm, its_name), points in self.series.items()
                if (its_case, its_name) == (case, name)}

    def faults(self, arm, cases):
        """What an arm did in any of the cases that it must not."""
        broken = {figure.metric for figure in self.figures
                  if figure.arm == arm and figure.case in cases and figure.max > 0}
        return [words for metric, words in FAULTS.items() if metric in broken]


def is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) \
        and math.isfinite(value)


def check_figure(entry, where):
    for name in NAMES:
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise BadResults(f"{where} has no {name}")
    where = f"{where} ({entry['case']}, {entry['arm']}, {entry['metric']})"
    for name in VALUES:
        if not is_number(entry.get(name)):
            raise BadResults(f"{where} has no number as {name}")
    if not entry["min"] <= entry["median"] <= entry["max"]:
        raise BadResults(f"{where}: min, median and max are not in order")
    if not isinstance(entry.get("settings", {}), dict):
        raise BadResults(f"{where}: settings is no object")
    if entry.get("target") is not None and not is_number(entry["target"]):
        raise BadResults(f"{where} has a target that is no number")
    if entry.get("better", "more") not in ("more", "less"):
        raise BadResults(f"{where}: better is neither more nor less")


def figure_of(entry, where):
    check_figure(entry, where)
    return Figure(*(entry[name] for name in NAMES + VALUES),
                  runs=entry.get("runs", len(entry.get("values", ()))),
                  more_is_better=entry.get("better", "more") == "more",
                  target=entry.get("target"), settings=entry.get("settings", {}))


def series_of(entry, where):
    """The points of each series that an entry has, in the order of time."""
    series = entry.get("series", {})
    if not isinstance(series, dict) or not all(isinstance(each, list) for each in series.values()):
        raise BadResults(f"{where}: series is no object of lists")
    for name, points in series.items():
        for point in points:
            if not isinstance(point, list) or len(point) != 2 or not all(map(is_number, point)):
                raise BadResults(f"{where}: {name} has a point that is not [seconds, number]")
    return {name: sorted(map(tuple, points)) for name, points in series.items() if points}


def add(results, entry, where):
    if not isinstance(entry, dict):
        raise BadResults(f"{where} is no object")
    if "run" in entry:
        if not isinstance(entry["run"], dict):
            raise BadResults(f"{where}: run is no object")
        results.run.update(entry["run"])
        return
    if "left_out" in entry or ("series" in entry and "metric" not in entry):
        for name in ("case", "arm"):
            if not isinstance(entry.get(name), str):
                raise BadResults(f"{where} has no {name}")
    else:
        results.figures.append(figure_of(entry, where))
    case, arm = entry["case"], entry["arm"]
    if "left_out" in entry:
        results.left_out.append((case, arm, str(entry["left_out"])))
    for name, points in series_of(entry, where).items():
        results.series[case, arm, name] = points
    results.what[case] = results.what.get(case) or str(entry.get("what", ""))


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            entries = json.load(file)
    except OSError as error:
        raise BadResults(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadResults(f"{path}: is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise BadResults(f"{path}: is no list")
    results = Results()
    for number, entry in enumerate(entries, 1):
        add(results, entry, f"{path}: entry {number}")
    if not results.figures:
        raise BadResults(f"{path}: no case has figures")
    return results
