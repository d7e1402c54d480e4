# SPDX-License-Identifier: Apache-2.0
"""From DIR/results.json make DIR/report.html and DIR/NAME.svg for each picture in it, and print
the tables.

Usage: python3 bench/report DIR

Exit status: 0, made; 2, the arguments or the file are wrong, and it was said how."""

import os
import sys

sys.dont_write_bytecode = True  # It runs from a source tree.

import markdown
import page
import tables
from reading import BadResults, read

TITLE = "klane's benchmarks"
QUICK = "Made by --quick: small counts, which prove that everything runs and measure nothing."


def write(directory, name, text):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(text)


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    directory = arguments[0]
    try:
        results = read(os.path.join(directory, "results.json"))
    except BadResults as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    import pictures  # Not sooner: matplotlib takes long to load.

    made = pictures.made_of(results)
    shown = tables.all_tables(results)
    warning = QUICK if tables.is_quick(results) else ""
    for picture in made:
        write(directory, f"{picture.name}.svg", picture.file())
    write(directory, "report.html", page.document(TITLE, warning, made, shown))
    print(markdown.document(TITLE, warning, shown))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
