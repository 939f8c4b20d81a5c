"""Steps at the terminal: shown, asked about, carried out, taken back."""

import sys
from collections.abc import Iterable
from typing import NamedTuple

from hotdesk.cli.terminal import agrees, asked, say
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.setup.machine import RunSql, Tree
from hotdesk.setup.steps import Entry, State, Statements, Step, words_for

NOTHING = "nothing was changed"


class Asking(NamedTuple):
    """How questions are answered."""

    by_itself: bool
    """By what was found, and with yes."""

    def must_answer(self) -> None:
        """Refuse to ask where nobody can answer.

        Raises:
            SettingsError: there is no terminal.
        """
        if not self.by_itself and not sys.stdin.isatty():
            raise SettingsError(f"{NOTHING}: in a script say --yes, or --dry-run to see what would be done")

    def text(self, question: str, found: str) -> str:
        """Return the answer to a question; what was found is one.

        Raises:
            SettingsError: nothing was found, and there is no other answer.
        """
        answer = found
        if not self.by_itself:
            try:
                answer = asked(question, found) or found
            except EOFError:
                raise HotdeskError(NOTHING) from None
        if not answer:
            raise SettingsError(f"{question}: not found here, so it must be given; see 'hotdesk setup --help'")
        return answer

    def agrees(self, question: str) -> bool:
        """Return whether a person wants something."""
        return self.by_itself or agrees(question)


def show_steps(made: Iterable[Step]) -> None:
    """Print steps, numbered."""
    for number, step in enumerate(made, 1):
        first, *more = words_for(step)
        say(f"{number:2}. {first}")
        for line in more:
            say(line)


def carry_out(tree: Tree, made: Iterable[Step], asking: Asking, run_sql: RunSql) -> None:
    """Carry out what is still to be done, once a person agrees; a question of a step's own is asked before it.

    Raises:
        HotdeskError: the person does not agree, or a step failed.
    """
    to_do = [step for step in made if step.state is State.TO_DO]
    if to_do and not asking.agrees("carry these steps out"):
        raise HotdeskError(NOTHING)
    wanted: dict[str, bool] = {"": True}
    for step in to_do:
        if step.asks not in wanted:
            wanted[step.asks] = asking.agrees(step.asks)
        if not wanted[step.asks]:
            say(f"not done, as you wish: {step.what}")
            continue
        try:
            tree.carry_out(step, run_sql)
        except HotdeskError as error:
            raise type(error)(
                f"{error}; what was done before stands: mend that and run it again, or take it all back"
            ) from error
        say(f"done: {step.what}")


def take_back(tree: Tree, made: Iterable[tuple[Step, Entry | None]], asking: Asking, run_sql: RunSql) -> None:
    """Carry out steps that take something back, once a person agrees, and say what is left and why.

    Raises:
        HotdeskError: the person does not agree, or some of it failed.
    """
    if not asking.agrees("take this back"):
        raise HotdeskError(NOTHING)
    failed = False
    for step, entry in made:
        try:
            left = tree.undo(step, entry, run_sql)
        except HotdeskError as error:
            by_hand = f"; by hand: {entry.statement}" if entry is not None and entry.statement else ""
            left = f"{error}{by_hand}"
            failed = True
        left = left or (step.why if step.state is State.KEPT else "")
        say(f"left as it is: {step.what}: {left}" if left else f"done: {step.what}")
        if failed and isinstance(step.act, Statements):
            break  # the settings, which are taken back after it, know where the database is
    if failed:
        raise HotdeskError(
            f"not all was taken back: mend that and run it again; {tree.notes_file} has what is left, so remove that"
            " file if you took it back by hand"
        )
