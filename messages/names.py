"""Names as VICIdial's tables compare them."""


def compared(name: str) -> str:
    """Return a name as VICIdial's SQL compares it: neither case nor blanks at its end count."""
    return name.rstrip(" ").lower()
