# SPDX-License-Identifier: Apache-2.0
"""Tables, as data: the page and the text on stdout show the same ones."""

from dataclasses import dataclass, field

from numerals import number, scale_of

COMMON = ("machine", "cpu", "cores", "compiler", "klane", "rounds", "quick", "options")
LIST_MAX = 16  # of a setting's values that are shown


@dataclass(frozen=True)
class Value:
    """A number as it is shown, and as it was measured."""
    text: str
    exact: float


@dataclass(frozen=True)
class Table:
    heading: str
    columns: list
    rows: list  # of texts and Values; the first cell is what the row is about
    before: str = ""
    after: list = field(default_factory=list)

    def is_numeric(self, column):
        return any(isinstance(row[column], Value) for row in self.rows)


def target_words(figure, size):
    if figure.target is None:
        return "", ""
    sign = "≥" if figure.more_is_better else "≤"
    return Value(f"{sign} {number(figure.target / size)}", figure.target), \
        "reached" if figure.reached else "missed"


def figure_row(figure, results):
    size, unit = scale_of(figure.unit, figure.median or figure.max)
    faults = results.faults(figure.arm, [figure.case])
    arm = f"{figure.arm} ({', '.join(faults)})" if faults else figure.arm
    return [arm, figure.metric,
            *(Value(number(value / size), value)
              for value in (figure.min, figure.median, figure.max)),
            unit, Value(str(figure.runs), figure.runs), *target_words(figure, size)]


def plain(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(plain, value)) if len(value) <= LIST_MAX else f"({len(value)} values)"
    return f"{value:,}" if isinstance(value, int) else str(value)


def settings_lines(figures):
    """What arms were run with, without what all have in common."""
    lines = {}
    for figure in figures:
        own = ", ".join(f"{name} {plain(value)}" for name, value in figure.settings.items()
                        if name not in COMMON)
        lines.setdefault(own, []).append(figure.arm)
    return [f"{', '.join(dict.fromkeys(arms))}: {own}" for own, arms in lines.items() if own]


def case_tables(results):
    for case, what in results.what.items():
        figures = results.of_case(case)
        after = [f"{arm} was left out: {reason}" for its_case, arm, reason in results.left_out
                 if its_case == case]
        yield Table(case, ["arm", "metric", "min", "median", "max", "unit", "runs", "target",
                           "reached or missed"],
                    [figure_row(figure, results) for figure in figures], what,
                    after + settings_lines(figures))


def run_table(results):
    """The machine, versions and options: what the run says, then what figures have in common."""
    rows = {}
    for name, value in results.run.items():
        if isinstance(value, dict):
            rows.update({f"{name}: {inner}": plain(each) for inner, each in value.items()})
        else:
            rows[name] = plain(value)
    for name in COMMON:
        seen = dict.fromkeys(plain(figure.settings[name]) for figure in results.figures
                             if name in figure.settings)
        if seen:
            rows[name] = "; ".join(seen)
    return Table("Machine and versions", ["what", "value"], [list(row) for row in rows.items()])


def targets_table(results):
    """None: no figure has a target."""
    figures = [figure for figure in results.figures if figure.target is not None]
    missed = [figure for figure in figures if not figure.reached]
    if not figures:
        return None
    rows = []
    for figure in missed:
        size, unit = scale_of(figure.unit, figure.median)
        rows.append([figure.case, figure.arm, figure.metric,
                     Value(number(figure.median / size), figure.median),
                     target_words(figure, size)[0], unit])
    return Table("Targets", ["case", "arm", "metric", "median", "target", "unit"], rows,
                 f"{len(figures) - len(missed)} of {len(figures)} targets were reached" +
                 ("; missed were:" if missed else "."))


def left_out_table(results):
    """None: every arm ran."""
    if not results.left_out:
        return None
    return Table("Arms that were left out", ["case", "arm", "reason"],
                 [list(row) for row in results.left_out])


def is_quick(results):
    return any(figure.settings.get("quick") for figure in results.figures)


def all_tables(results):
    first = [targets_table(results), left_out_table(results), run_table(results)]
    return [table for table in first if table] + list(case_tables(results))
