"""`hotdesk topics`: create and check Kafka's topics, and print the permissions of its users."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from cyclopts import Parameter

from hotdesk.cli.client import AsJson
from hotdesk.cli.terminal import say, say_json
from hotdesk.errors import LogFailure, SettingsError
from hotdesk.settings import LogOptions, Options, Settings
from stream.kafka.acls import User, commands
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import check_topics, create_topics
from stream.log import LogError

DEFAULTS = Options()


def create(*, as_json: AsJson = False, options: Settings = DEFAULTS) -> None:
    """Create the absent topics, with the settings they need."""
    with _log_failures():
        created = create_topics(_kafka(options.log), options.log.replication)
    if as_json:
        say_json(created)
        return
    for name in created:
        say(f"created {name}")
    if not created:
        say("all topics exist already; 'hotdesk topics check' checks their settings")


def check(*, as_json: AsJson = False, options: Settings = DEFAULTS) -> int:
    """Check the topics against what hotdesk needs; it changes nothing."""
    with _log_failures():
        problems = check_topics(_kafka(options.log))
    if as_json:
        say_json(problems)
    else:
        for problem in problems:
            say(f"{problem.topic}: {problem.wrong}; {problem.remedy}")
        if not problems:
            say("all topics are as needed")
    return LogFailure.exit_code if problems else 0


def acls(
    user: Annotated[User, Parameter(help="A role; or setup (topics create and check), look (replay).")],
    *,
    principal: Annotated[str, Parameter(help="Kafka's name for that user; default: User:hotdesk-ROLE.")] = "",
    command_config: Annotated[str, Parameter(help="File with the login of Kafka's tool.")] = "",
    options: Settings = DEFAULTS,
) -> None:
    """Print the permissions that a user needs in Kafka, as commands of Kafka's own tool; it runs none of them."""
    for line in commands(user, _kafka(options.log), principal or f"User:hotdesk-{user}", command_config):
        say(line)


@contextmanager
def _log_failures() -> Iterator[None]:
    try:
        yield
    except LogError as error:
        raise LogFailure(str(error)) from error


def _kafka(options: LogOptions) -> KafkaSettings:
    if not options.bootstrap:
        raise SettingsError("log.bootstrap is not set: only Kafka has topics, the embedded log needs none")
    return options.kafka()
