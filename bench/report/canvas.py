# SPDX-License-Identifier: Apache-2.0
"""Pictures: from a figure of matplotlib to an SVG that is small, the same each time, and readable
on a light and on a dark page."""

import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from arms import INK
from numerals import short

SVG = "http://www.w3.org/2000/svg"
HREF = "{http://www.w3.org/1999/xlink}href"
# In a file of its own the text is seen on white and on black alike.
MIDDLE = "#767e87"
WIDTH = 10.2  # inches

matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "klane", "path.simplify": True,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5,
    "figure.facecolor": "none", "axes.facecolor": "none", "legend.frameon": False,
    "legend.handlelength": 3.2, "legend.fontsize": 9,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.titlesize": 10, "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": INK, "grid.alpha": 0.16,
    "grid.linewidth": 0.6, "lines.linewidth": 1.8, "lines.markersize": 6,
    "lines.markeredgewidth": 1.5, "hatch.color": INK, "errorbar.capsize": 2.5,
    "xtick.minor.visible": False,
})


@dataclass(frozen=True)
class Picture:
    name: str     # of its file, without .svg
    title: str
    text: str     # what it shows, for those who do not see it
    reading: str  # how to read it
    root: ElementTree.Element

    def inline(self):
        return to_text(without_namespace(self.root))

    def file(self):
        root = copy(self.root)
        root.set("style", f"color:{MIDDLE}")
        ElementTree.register_namespace("", SVG)
        return to_text(root) + "\n"


def figure(height, rows=1, columns=1, **grid):
    """A figure and its panels, row by row."""
    made = Figure(figsize=(WIDTH, height), constrained_layout=True)
    panels = made.subplots(rows, columns, squeeze=False, **grid)
    return made, [panel for row in panels for panel in row]


def log_axis(axis, values, unit=""):
    """Few decades have more ticks, as one alone says nothing."""
    values = [value for value in values if value > 0] or [1]
    narrow = max(values) < 300 * min(values)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=12))
    axis.set_major_formatter(EngFormatter(unit) if unit else short)
    axis.set_minor_formatter(NullFormatter())


def copy(root):
    return ElementTree.fromstring(ElementTree.tostring(root))


def to_text(root):
    return ElementTree.tostring(root, encoding="unicode")


def without_namespace(root):
    root = copy(root)
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    return root


def shorten(path):
    return re.sub(r"\d+\.\d{2,}", lambda match: f"{float(match.group()):.2f}".rstrip("0")
                  .rstrip("."), path).strip().replace("\n", "")


def clean(element, used, name):
    """Ids that are this picture's own; the text's colour where ink stands; no needless digits."""
    for key, value in list(element.attrib.items()):
        if key == "id" and value not in used:
            del element.attrib["id"]
            continue
        value = value.replace(INK, "currentColor")
        value = re.sub(r"url\(#", f"url(#{name}-", value)
        if key == "id":
            value = f"{name}-{value}"
        elif key == HREF:
            del element.attrib[key]
            key, value = "href", f"#{name}-{value[1:]}"
        elif key in ("d", "points", "x", "y", "transform"):
            value = shorten(value)
        element.set(key, value)
    for child in list(element):
        if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
            element.remove(child)
        else:
            clean(child, used, name)


def picture(name, title, text, reading, made):
    """Takes the figure and makes the picture."""
    stream = io.BytesIO()
    made.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    made.savefig(stream, format="svg")
    root = ElementTree.fromstring(stream.getvalue())
    used = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', stream.getvalue().decode()))
    clean(root, used, name)
    # What the style sheet said that was removed: it would have been the whole page's.
    for key, value in (("stroke-linejoin", "round"), ("stroke-linecap", "butt"),
                       ("role", "img"), ("fill", "currentColor"),
                       ("aria-labelledby", f"{name}-title {name}-desc")):
        root.set(key, value)
    for place, (tag, words) in enumerate((("title", title), ("desc", text))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = words
        root.insert(place, element)
    return Picture(name, title, text, reading, root)
