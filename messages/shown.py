"""How a text of others is shown to a person: on a terminal, on the status page, in a log line.

VICIdial's tables, its servers and Kafka hold what somebody else wrote. Codes that control a terminal, marks that
turn the direction of writing and characters without a width can make a text look like another; so each is shown by
its number.
"""

LONGEST_LINE = 500
"""Characters: a server that is none may answer with megabytes."""


def printable(text: str) -> str:
    r"""Return a text in which every character can be seen: others are shown by number, such as `\x1b` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _by_number(each) for each in text)


def one_line(text: object) -> str:
    """Return what somebody else wrote in one line that can be seen, cut where it is long."""
    line = printable(" ".join(str(text)[: 2 * LONGEST_LINE].split()))
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def reason_of(error: Exception) -> str:
    """Return why a file cannot be used, for a sentence that has named the file: Python would name it again."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _by_number(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
