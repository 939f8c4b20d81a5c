"""Plant bugs and look whether the simulation finds them: `python -m tests.simulation.mutants`.

Ends with the line `planted P, found Q`; exit code 1 if one was not found.
"""

import sys

from tests.simulation.mutants.search import search_all


def main() -> int:
    """Search, and tell."""
    searches = []
    for each in search_all():
        searches.append(each)
        shown = f"{each.found_by}: {each.broken[:100]}" if each.found_by else "NOT FOUND"
        sys.stdout.write(f"{each.mutant}: {shown}\n")
    found = sum(bool(each.found_by) for each in searches)
    sys.stdout.write(f"planted {len(searches)}, found {found}\n")
    return 0 if found == len(searches) else 1


if __name__ == "__main__":
    sys.exit(main())
