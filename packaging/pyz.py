"""Runs shiv, and has the file that it makes look at the Python that it was given before it unpacks or imports anything.

Shiv's own preamble comes too late for that: the system's Python of a ViciBox is 3.6, and should be told so in one line.
"""

# ruff: noqa: INP001 - a script, beside release.py

from shiv import builder
from shiv.cli import main

# read by any Python, and filled in by `format`
LOOK = """\
import sys
if sys.version_info[:2] != (3, 11):
    sys.stderr.write("hotdesk: this file is for Python 3.11, and this is %s.%s; run: python3.11 hotdesk.pyz\\n"
                     % sys.version_info[:2])
    sys.exit(2)
"""

builder.MAIN_TEMPLATE = LOOK + builder.MAIN_TEMPLATE
main()
