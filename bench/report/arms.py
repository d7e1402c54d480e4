# SPDX-License-Identifier: Apache-2.0
"""How arms are told apart: by colour, by marker, by the words beside them.

Colours are those of Okabe and Ito but for black and yellow, of which one or the other cannot be
seen on a dark or a light page. What breaks order or loses records is hollow and dashed."""

from dataclasses import dataclass

INK = "#010203"  # Stands for the colour of the text around, whatever that is.
BLUE, VERMILION, GREEN = "#0072b2", "#d55e00", "#009e73"
PURPLE, ORANGE, SKY = "#cc79a7", "#e69f00", "#56b4e9"

KEY, PARTITION, NONE = "by key", "by partition", "no order"
MODES = (KEY, PARTITION, NONE)
MODE_SUFFIXES = {"-partition": PARTITION, "-none": NONE}
MODE_SETTINGS = {"key": KEY, "partition": PARTITION, "none": NONE}

# Name, colour, marker, and the mode of an arm whose name does not end with one.
FAMILIES = (
    ("klane", BLUE, "o", KEY),
    ("parallel-consumer", VERMILION, "s", KEY),
    ("thread-per-partition", GREEN, "^", PARTITION),
    ("poll", PURPLE, "D", PARTITION),
    ("callback", PURPLE, "X", PARTITION),
    ("java-consumer", SKY, "P", PARTITION),
    ("pool", ORANGE, "v", NONE),
)
BOUND = "threads"  # Bare threads without a log: as fast as handlers can be.
OTHER_MARKERS = "d<>*hp"
VARIANT_LINE = (0, (5, 1, 1, 1, 1, 1))
MODE_LINES = {KEY: "-", PARTITION: "-.", NONE: (0, (1, 1.5))}


@dataclass(frozen=True)
class Look:
    label: str
    colour: str
    marker: str
    line: object
    hollow: bool

    def line_style(self):
        return {"color": self.colour, "marker": self.marker, "linestyle": self.line,
                "markerfacecolor": "none" if self.hollow else self.colour, "label": self.label}


def base_name(arm):
    for suffix in MODE_SUFFIXES:
        if arm.endswith(suffix) and arm not in {name for name, *_ in FAMILIES}:
            return arm[:-len(suffix)]
    return arm


def family_of(arm):
    """None: it is of no family that is known."""
    for family in FAMILIES:
        if arm == family[0] or arm.startswith(family[0] + "-"):
            return family
    return None


def mode_of(arm, settings):
    if settings.get("order") in MODE_SETTINGS:
        return MODE_SETTINGS[settings["order"]]
    if base_name(arm) != arm:
        return MODE_SUFFIXES[arm[len(base_name(arm)):]]
    family = family_of(arm)
    return family[3] if family else KEY


def is_plain(arm):
    """A family's arm as it is, in whatever mode: no variant of it."""
    return any(base_name(arm) == family[0] for family in FAMILIES)


def line_of(arm, faults):
    if faults:
        return "--"
    if arm == BOUND:
        return ":"
    if family_of(arm) and not is_plain(arm):
        return VARIANT_LINE
    return MODE_LINES[mode_of(arm, {})] if base_name(arm) != arm else "-"


def look_of(arm, faults=(), place=0):
    """Place: where among its picture's arms; tells those apart that are alike."""
    family = family_of(arm)
    colour = family[1] if family else INK
    marker = family[2] if is_plain(arm) else OTHER_MARKERS[place % len(OTHER_MARKERS)]
    if arm == BOUND:
        marker = "x"
    label = f"{arm} ({', '.join(faults)})" if faults else \
        f"{arm} (bare, no log)" if arm == BOUND else arm
    return Look(label, colour, marker, line_of(arm, faults), bool(faults))
