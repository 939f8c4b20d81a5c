"""Command line, settings and wiring: the only package that imports all the others."""
