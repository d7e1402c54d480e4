# SPDX-License-Identifier: Apache-2.0
"""The tables as Markdown, to read in a terminal and to paste into bench/README.md."""

from tables import Value


def cell(value):
    text = value.text if isinstance(value, Value) else value
    return " ".join(text.split()).replace("|", "\\|")


def line(cells):
    return f"| {' | '.join(cells)} |"


def table_lines(table):
    lines = [f"## {table.heading}", ""]
    lines += [table.before, ""] if table.before else []
    if table.rows:
        rules = ("---:" if table.is_numeric(column) else "---"
                 for column in range(len(table.columns)))
        lines += [line(table.columns), f"|{'|'.join(rules)}|"]
        lines += [line(map(cell, row)) for row in table.rows] + [""]
    lines += [f"- {each}" for each in table.after]
    return lines + [""] if table.after else lines


def document(title, warning, tables):
    lines = [f"# {title}", ""] + ([f"**{warning}**", ""] if warning else [])
    return "\n".join(lines + [each for table in tables for each in table_lines(table)])
