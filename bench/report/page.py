# SPDX-License-Identifier: Apache-2.0
"""The page: pictures and tables in one file that needs nothing else."""

import re
from html import escape

from tables import Value

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --line: #d0d7de;
  --faint: #f6f8fa; --quiet: #59636e; --link: #0550ae; --bad: #a40e26; --good: #116329; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #3d444d;
  --faint: #161b22; --quiet: #9198a1; --link: #79c0ff; --bad: #ff938a; --good: #6fdd8b; } }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: var(--ink);
  background: var(--paper); max-width: 74rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
a { color: var(--link); } nav ul { columns: 15rem; column-gap: 2rem; padding-left: 1.2rem; }
figure { margin: 1.5rem 0 2.5rem; } .wide { overflow-x: auto; }
figure svg { width: 100%; min-width: 44rem; height: auto; color: var(--ink); }
figcaption, .settings { color: var(--quiet); font-size: .9rem; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .7rem; border-bottom: 1px solid var(--line);
  vertical-align: top; } thead th { background: var(--faint); }
th[scope=row] { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.missed { color: var(--bad); font-weight: 700; } .reached { color: var(--good); }
.warning { border: 2px solid var(--bad); padding: .5rem .8rem; font-weight: 600; }
"""

NUMBER = ' class="number"'


def anchor(heading):
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def cell(value, place):
    if isinstance(value, Value):
        return f'<td{NUMBER}><data value="{value.exact!r}">{escape(value.text)}</data></td>'
    if place == 0:
        return f'<th scope="row">{escape(value)}</th>'
    state = f' class="{value}"' if value in ("reached", "missed") else ""
    return f"<td{state}>{escape(value)}</td>"


def table_html(table):
    name = anchor(table.heading)
    parts = [f'<section><h2 id="{name}">{escape(table.heading)}</h2>']
    if table.before:
        parts.append(f"<p>{escape(table.before)}</p>")
    if table.rows:
        head = "".join(
            f'<th scope="col"{NUMBER if table.is_numeric(place) else ""}>{escape(column)}</th>'
            for place, column in enumerate(table.columns))
        rows = "\n".join(
            "<tr>" + "".join(cell(value, place) for place, value in enumerate(row)) + "</tr>"
            for row in table.rows)
        parts.append(f'<div class="wide" tabindex="0" role="region" aria-labelledby="{name}">'
                     f'<table aria-labelledby="{name}"><thead><tr>{head}</tr></thead>\n'
                     f"<tbody>\n{rows}\n</tbody></table></div>")
    if table.after:
        lines = "".join(f"<li>{escape(each)}</li>" for each in table.after)
        parts.append(f'<ul class="settings">{lines}</ul>')
    return "\n".join(parts) + "</section>"


def picture_html(picture):
    return f'<figure id="picture-{picture.name}"><div class="wide">{picture.inline()}</div>\n' \
           f"<figcaption>{escape(picture.reading)}</figcaption></figure>"


def links(title, targets):
    items = "".join(f'<li><a href="#{name}">{escape(words)}</a></li>' for name, words in targets)
    return f'<nav aria-label="{title}"><h2>{title}</h2><ul>{items}</ul></nav>'


def document(title, warning, pictures, tables):
    shown = f'<p class="warning">{escape(warning)}</p>' if warning else ""
    return "\n".join([
        "<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8"/>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>", shown,
        links("Pictures", [(f"picture-{each.name}", each.title) for each in pictures]),
        *map(picture_html, pictures),
        links("Tables", [(anchor(each.heading), each.heading) for each in tables]),
        *map(table_html, tables), "</main></body></html>", ""])
