# SPDX-License-Identifier: Apache-2.0
"""How numbers are written: each with the prefix that suits it."""

LADDERS = {
    "ns": [(1, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")],
    "us": [(1, "µs"), (1e3, "ms"), (1e6, "s")],
    "ms": [(1, "ms"), (1e3, "s")],
    "bytes": [(1, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB")],
    "records/s": [(1, "records/s"), (1e3, "k records/s"), (1e6, "M records/s")],
}
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}


def scale_of(unit, value):
    """What to divide by, and the unit that is left."""
    fitting = [step for step in LADDERS.get(unit, ()) if abs(value) >= step[0]]
    return fitting[-1] if fitting else LADDERS.get(unit, [(1, unit)])[0]


def number(value):
    """Three digits that count, or whole."""
    if value == 0:
        return "0"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.2e}"


def quantity(value, unit):
    size, scaled = scale_of(unit, value)
    return f"{number(value / size)} {scaled}"


def short(value, _place=None):
    """For the ticks of an axis."""
    for size, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{prefix}"
    return f"{value:g}"
