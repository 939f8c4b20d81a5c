"""What is remembered from one reading to the next: where the log of logins was read to."""

from collections.abc import Sequence

import pytest

from collectors.vicidial.parts import EMPTY_READINGS, LOGINS_BACK, Rest, Wanted
from collectors.vicidial.rows import Row

AGENTS = Wanted(agents=True)


class Logins:
    """A database whose log of logins has these rows, and nothing else."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)
        self.locked = False

    def run(self, name: str, asked: Sequence[object] = (), *, after: int = 0) -> Sequence[Row] | None:
        assert not asked
        if name not in {"logins", "logins_end"}:
            return ()
        if self.locked:
            return None
        if name == "logins_end":
            return [(str(max(self.numbers)).encode() if self.numbers else None,)]
        return [(str(number).encode(), b"1001", b"", b"desk") for number in self.numbers if number > after]

    def read(self, rest: Rest) -> list[int]:
        """Return the numbers of the logins that a reading brings."""
        return [int(row[0] or 0) for row in rest.read(self.run, AGENTS, ()).logins or ()]


def test_each_login_is_read_once() -> None:
    logins, rest = Logins(4, 5), Rest()
    assert logins.read(rest) == [4, 5]
    logins.numbers.append(6)
    assert [logins.read(rest) for _ in range(2)] == [[6], []]


def test_of_a_long_log_only_the_last_logins_are_read() -> None:
    assert Logins(1, LOGINS_BACK + 1, LOGINS_BACK + 2).read(Rest()) == [LOGINS_BACK + 1, LOGINS_BACK + 2]


@pytest.mark.parametrize("empty_readings", [0, 1, 3 * EMPTY_READINGS])
def test_a_log_that_was_emptied_is_read_anew(empty_readings: int) -> None:
    logins, rest = Logins(70_000), Rest()
    assert logins.read(rest) == [70_000]
    logins.numbers.clear()
    assert not any(logins.read(rest) for _ in range(empty_readings))
    logins.numbers.append(1)
    assert [each for each in (logins.read(rest) for _ in range(EMPTY_READINGS + 1)) if each] == [[1]]
    logins.numbers.append(2)
    assert logins.read(rest) == [2]


def test_a_log_that_cannot_be_read_for_a_while_is_read_from_where_it_was() -> None:
    logins, rest = Logins(4), Rest()
    assert logins.read(rest) == [4]
    logins.locked = True
    assert not any(logins.read(rest) for _ in range(3 * EMPTY_READINGS))
    logins.locked = False
    logins.numbers.append(5)
    assert logins.read(rest) == [5]


def test_where_a_log_that_cannot_be_read_ends_is_asked_again() -> None:
    logins, rest = Logins(4), Rest()
    logins.locked = True
    assert logins.read(rest) == []
    logins.locked = False
    assert logins.read(rest) == [4]
