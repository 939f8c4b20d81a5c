"""The `hotdesk` command: its subcommands in groups, and its main function.

A command's module is imported when the command is called: what most of them need not is half a second of imports.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import App, CycloptsError, Group, MissingArgumentError, Parameter

from hotdesk import settings
from hotdesk.cli.terminal import Console, complain, complain_of, shown
from hotdesk.errors import HotdeskError
from hotdesk.settings import DEFAULT_FILE
from hotdesk.signals import in_a_terminal
from hotdesk.toml_lines import place_in
from hotdesk.version import version_line

RUN, LOOK, INTERVENE, SET_UP, OTHER, PARAMETERS = (
    Group(name, sort_key=number)
    for number, name in enumerate(("Run", "Look", "Intervene", "Set up", "Other", "Parameters"))
)
"""The groups of `hotdesk --help`, in that order."""
COMMANDS: Mapping[Group, Mapping[str, Sequence[str]]] = {
    RUN: {
        "roles": ("run", "collect", "control", "serve"),
        "demo": ("demo",),
    },
    LOOK: {
        "status": ("status",),
        "views": ("top", "explain"),
        "ranking": ("rank",),
        "orders": ("incidents", "orders"),
        "decisions": ("decisions",),
        "replay": ("replay",),
        "docs": ("docs",),
    },
    INTERVENE: {
        "orders": (
            "pause",
            "resume",
            "drain",
            "undrain",
            "move",
            "ack",
            "unbrake",
            "unfence",
            "revoke",
            "resynchronise",
        ),
    },
    SET_UP: {
        "setup": ("setup",),
        "init": ("init",),
        "check": ("check",),
        "readiness": ("readiness",),
        "grants": ("grants",),
        "alerts": ("alerts",),
        "orders": ("forget",),
    },
}
"""The commands of each group, by the module in hotdesk.cli that has a function of that name."""
SEVERAL: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "topics": ("Create and check Kafka's topics.", {"create": "create", "check": "check", "acls": "acls"}),
    "notify": ("Try the notifications out.", {"test": "try_out"}),
    "aliases": (
        "Plan, make and verify the phones and aliases of all desks.",
        {"plan": "plan", "apply": "apply", "phones": "phones", "verify": "verify"},
    ),
    "hook": ("Put the login hook in or out.", {"install": "install", "remove": "remove", "test": "prove"}),
}
"""The groups of commands, by the module in hotdesk.cli: what each is for, and its commands' functions."""
CONFIG = "--config"
STATUS, DOCS, HELP = "status", "docs", "help"

TELL_VARIABLES = {"hotdesk.cli.roles", "hotdesk.cli.check"}
"""Modules whose commands say themselves which variables look like settings and are none."""


def _default_shown(value: object) -> str | None:
    """Return a default as help shows it; None: nothing that would be worth the space."""
    if value is None or value is False or value in ("", (), {}):
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _in_words(error: CycloptsError) -> str:
    """Return what is wrong with the words of a command; of what is missing, how the command is written."""
    if not isinstance(error, MissingArgumentError) or error.argument is None:
        return str(error)
    command, flag = " ".join(error.command_chain or ()), error.argument.name
    if error.keyword or not error.argument.field_info.is_positional:
        return f"{command} needs a value for {error.keyword or flag}: see 'hotdesk {command} --help'"
    word = flag.removeprefix("--")
    return f"{command} needs {'an' if word[0] in 'aeio' else 'a'} {word}: hotdesk {command} {word.upper()}"


app = App(
    name="hotdesk",
    version=version_line,
    help="Event-driven monitoring and failover for VICIdial clusters.",
    error_console=Console(stderr=True, soft_wrap=True),
    error_formatter=lambda error: shown(f"hotdesk: {_in_words(error)}"),
    help_epilogue="Commands take the settings that `hotdesk run --help` lists. Exit codes: 0 fine, 1 other, 2"
    " settings, 3 database, 4 log, 5 API. A page that a message names is printed by `hotdesk docs PAGE`.",
    default_parameter=Parameter(show_default=_default_shown),
    group_commands=OTHER,
    group_parameters=PARAMETERS,
)
for group, modules in COMMANDS.items():
    for module, names in modules.items():
        for name in names:
            app.command(f"hotdesk.cli.{module}:{name}", name=name, group=group)
for name, (about, commands) in SEVERAL.items():
    several = App(name=name, help=about, group=SET_UP, group_commands=Group("Commands", sort_key=0))
    for command, function in commands.items():
        several.command(f"hotdesk.cli.{name}:{function}", name=command)
    app.command(several)
app.register_install_completion_command()


class StatusEnd(SystemExit):
    """The end of `hotdesk status` with a code of its own."""


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[
        Path | None, Parameter(help="TOML file; default: HOTDESK_CONFIG, or else ./hotdesk.toml if it exists.")
    ] = None,
) -> int | None:
    """Read the settings, then run the command."""
    from_environment = os.environ.get("HOTDESK_CONFIG")
    path = config or (Path(from_environment) if from_environment else None)
    file = path or DEFAULT_FILE
    # its pages say how settings are mended that nothing can be run with
    must_exist = path is not None and tokens[:1] != ("setup",)
    ours = settings.FromFile({}, {}, {}) if tokens[:1] == (DOCS,) else settings.read_file(file, must_exist=must_exist)
    tables, clusters, notify = ours
    app.config = (
        cyclopts.config.Env(settings.ENVIRONMENT_PREFIX, command=False),
        *_sources(tables),
    )
    command, bound, ignored = app.parse_args(tokens)
    if command.__module__ not in TELL_VARIABLES:
        for variable, meant in settings.unknown_variables(os.environ).items():
            complain(f"hotdesk: {variable} is no setting, and is ignored{f': did you mean {meant}?' if meant else ''}")

    def read_again() -> object:
        now = settings.read_file(file, must_exist=path is not None)
        if now.tables != tables:
            import structlog  # noqa: PLC0415 # only where a process goes on, which has imported it

            structlog.get_logger().warning(
                "[log] and [api] are read only when a process starts: they stay as they were"
            )
        return now.clusters, now.notify

    given = {"clusters": clusters, "notify": notify, "read_again": read_again}
    more = {name: given[name] for name in ignored}
    result: int | None = command(*bound.args, **bound.kwargs, **more)
    if tokens[:1] == (STATUS,):
        raise StatusEnd(result)
    return result


def _sources(tables: Mapping[str, Any]) -> Iterator[cyclopts.config.Dict]:
    """Yield the settings of the file one by one, so that a refusal names the line of its own."""
    for name, table in tables.items():
        for key, value in table.items():
            # not every command takes every setting; read_file has refused the unknown ones
            yield cyclopts.config.Dict(
                {name: {key: value}},
                source=place_in(tables, (name, key)),
                use_commands_as_keys=False,
                allow_unknown=True,
            )


def _words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without --config and its file, which may stand before the command."""
    left = iter(arguments)
    words = []
    for each in left:
        if each == CONFIG:
            next(left, None)
        elif not each.startswith(f"{CONFIG}="):
            words.append(each)
    return words


def _help_by_flag(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the word `help` at their beginning as the flag at their end."""
    words = _words(arguments)
    return [*words[1:], "--help"] if words[:1] == [HELP] else list(arguments)


def _lists_commands(arguments: Sequence[str]) -> bool:
    """Return True if the answer is a list of commands: for help, and where no command is named, or only a group."""
    words = _words(arguments)
    return not words or words in ([each] for each in SEVERAL) or any(each in app.help_flags for each in words)


def _result(arguments: list[str]) -> int:
    """Run the command, and return its exit code.

    `hotdesk status` ends with a code of monitoring's own, whatever is at fault: another one would be read as a state.
    """
    if _words(arguments)[:1] != [STATUS]:
        return app.meta(arguments) or 0
    try:
        return app.meta(arguments) or 0
    except StatusEnd:
        raise
    except SystemExit as ended:  # flags that do not fit: what is wrong with them was said
        if not ended.code:
            raise
        return _unknown("the command does not fit: see 'hotdesk status --help'")
    except HotdeskError as error:
        return _unknown(str(error))
    except Exception as error:  # noqa: BLE001 # the same
        complain_of(error)
        return _unknown("a fault of hotdesk's own")


def _unknown(why: str) -> int:
    from hotdesk.cli.status import show_unknown  # noqa: PLC0415 # as all commands: when it is called

    return show_unknown(why)


def _import_all(group: App) -> None:
    """Import the modules of all commands, so that help can say what each does."""
    for name in group:
        command = group[name]
        if name not in {*group.help_flags, *group.version_flags}:
            _import_all(command)


def main() -> None:
    """Run the command; report a user's mistake with one line and an exit code."""
    if not in_a_terminal():
        # before it can reload the settings, and when it ends
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    arguments = _help_by_flag(sys.argv[1:])
    if _lists_commands(arguments):
        _import_all(app)
    try:
        sys.exit(_result(arguments))
    except HotdeskError as error:
        complain(f"hotdesk: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the pipe has closed it. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 # Python would print it as it is
        complain_of(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
