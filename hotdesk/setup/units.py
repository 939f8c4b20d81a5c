"""The steps that make hotdesk a service of this machine: units, their secrets, their start. Pure.

With its log in a file it is one service; with Kafka it is three, which other machines may have too. Where no systemd is
at work, a person is told what the machine's own init has to run.
"""

import hashlib
import re
from collections.abc import Iterator

import msgspec

from hotdesk.grants import Purpose
from hotdesk.setup.giving import files
from hotdesk.setup.known import ROLES, SERVICE, Answers, Known, has_own_user
from hotdesk.setup.steps import (
    RELOAD,
    UNITS,
    Commands,
    File,
    Folder,
    Remove,
    State,
    Step,
    Words,
    digest,
    shell,
    step_of,
)

PROFILE = "/etc/profile.d/hotdesk.sh"
PROGRAM = "/opt/hotdesk/current/bin/hotdesk"
"""The one that stands in the units as they are shipped."""
UNIT = f"{UNITS}hotdesk.service"
DROP_IN = f"{UNITS}hotdesk.service.d/secrets.conf"
OF_ROLE = {name: f"{UNITS}{name}.service.d/secrets.conf" for name in ROLES}
OF_ROLES = f"{UNITS}hotdesk-.service.d/secrets.conf"
"""One for all three, which gives none of them a secret."""
_SHIPPED_OF = {SERVICE: "secrets.conf"} | {name: f"secrets-{name.partition('-')[2]}.conf" for name in ROLES}
SHIPPED = (*(f"{name}.service" for name in _SHIPPED_OF), *_SHIPPED_OF.values())
OF_OWN_USER = "[Service]\nDynamicUser=no\nBindReadOnlyPaths=\n"
"""The drop-in where the secrets belong to a group of the service's own user."""
ALSO = ("kafka.password", "kafka.key")
"""Secrets that a service is given where they are there."""
_NO_MORE: Words = ("systemctl", "disable", "--now", SERVICE)
_OF_MAIN = re.compile(r"LoadCredential=main\.(\S+?):\S+")


def paths(answers: Answers) -> list[str]:
    """Return every path that these steps may have something to do with."""
    units = [f"{UNITS}{name}.service" for name in answers.services]
    drop_ins = [*OF_ROLE.values(), OF_ROLES] if answers.kafka else [DROP_IN]
    return [*units, *drop_ins, *(each.rpartition("/")[0] for each in drop_ins), *_also(answers)]


def _also(answers: Answers) -> list[str]:
    return [f"{answers.secrets}/{name}" for name in ALSO]


def _drop_ins(known: Known) -> list[tuple[str, str]]:
    """Return the path of each drop-in, and its name as it is shipped; none is shipped for a user of its own."""
    if not known.answers.kafka:
        return [(DROP_IN, _SHIPPED_OF[SERVICE])]
    if has_own_user(known):
        return [(OF_ROLES, _SHIPPED_OF[SERVICE])]
    return [(path, _SHIPPED_OF[name]) for name, path in OF_ROLE.items()]


def units(known: Known) -> Iterator[Step]:
    """Yield the steps that write the units, and which secrets each is given."""
    answers, machine = known.answers, known.machine
    for name in () if machine.packaged else answers.services:
        path = f"{UNITS}{name}.service"
        text = machine.shipped[f"{name}.service"]
        text = text.replace(f"ExecStart={PROGRAM} ", f"ExecStart={machine.program or PROGRAM} ")
        yield step_of(File(path, text.encode(), 0o644), f"write {path}: the service", known.seen, known.notes)
    for path, name in _drop_ins(known):
        folder = path.rpartition("/")[0]
        yield step_of(Folder(folder, 0o755), f"make {folder}, for a drop-in", known.seen, known.notes)
        shipped = machine.shipped[name]
        text = OF_OWN_USER if has_own_user(known) else _drop_in_text(shipped, known)
        there = known.seen.get(path)
        # as a package brought it, it is nobody's change
        brought = there is not None and there.content == shipped.encode()
        act = File(path, text.encode(), 0o644, takes_over=brought)
        yield step_of(act, f"write {path}: the secrets that it is given", known.seen, known.notes)
    if answers.kafka and not has_own_user(known):
        yield from _without_a_shared_one(known)


def _without_a_shared_one(known: Known) -> Iterator[Step]:
    """Yield the removal of a drop-in for all services: one that lacks its own would be given the secrets of others."""
    there, mine = known.seen.get(OF_ROLES), known.notes.of(OF_ROLES)
    if there is None:
        return
    step = Step(what=f"remove {OF_ROLES}: each service has its own", back="", act=Remove(OF_ROLES), state=State.TO_DO)
    if mine is None or mine.digest != digest(there.content or b""):
        why = "setup did not write it as it is; remove it once each service has the lines that it needs"
        step = msgspec.structs.replace(step, state=State.KEPT, why=why)
    yield step


def _drop_in_text(shipped: str, known: Known) -> str:
    """Return the drop-in with this cluster's secrets: AMI's and Kafka's if there are any, a password only to act."""
    answers = known.answers
    cluster = answers.cluster
    text = _OF_MAIN.sub(rf"LoadCredential={cluster}.\1:{answers.secrets}/{cluster}.\1", shipped)
    given = [f"{cluster}.ami"] if answers.ami else []
    given += [f"{cluster}.password"] if Purpose.ACT in answers.purposes else []
    given += [name for name, path in zip(ALSO, _also(answers), strict=True) if path in known.seen]
    for name in given:
        text = text.replace(f"#LoadCredential={name}:", f"LoadCredential={name}:")
    return text


def tokens_of_collectors(tokens: bytes) -> str:
    """Return the only line of a collector's tokens: the first that may read, by its digest; empty: there is none."""
    for line in tokens.decode(errors="replace").splitlines():
        scope, _, rest = line.partition("#")[0].strip().partition(" ")
        token = rest.strip()
        if scope == "read" and token:
            digest = token if token.startswith("sha256:") else f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
            return f"read {digest}"
    return ""


def starting(known: Known, made: list[Step]) -> Iterator[Step]:
    """Yield the steps that start the services, after those that were `made`."""
    answers, machine = known.answers, known.machine
    services = answers.services
    named = "the service" if services == (SERVICE,) else f"{', '.join(services[:-1])} and {services[-1]}"
    what = f"start {named}, now and at each start of the machine"
    if not machine.systemd:
        why = "there is no systemd at work here; the end says what to do"
        yield Step(what=what, back="", act=Commands(in_foreground(known)), state=State.BY_HAND, why=why)
        return
    if answers.kafka and machine.alone:
        # what setup itself has started is stopped for good when all is taken back
        ours = any(_NO_MORE in each.back for each in known.notes.entries)
        yield Step(
            what="stop the service hotdesk, whose log is a file: the others take its place",
            back="it stays so" if ours else "it is started again",
            act=Commands(
                (_NO_MORE,),
                () if ours else (("systemctl", "enable", "--now", SERVICE),),
            ),
            state=State.TO_DO,
        )
    back = (("systemctl", "disable", "--now", *services),)
    aside = {PROFILE, *files(answers)}
    changed = any(
        each.state is State.TO_DO and isinstance(each.act, File) and each.act.path not in aside for each in made
    )
    if not machine.active:
        act = Commands(run=(RELOAD, ("systemctl", "enable", "--now", *services)), back=back)
        yield Step(what=what, back="stopped and disabled", act=act, state=State.TO_DO)
    elif changed:
        act = Commands(run=(RELOAD, ("systemctl", "restart", *services)))
        yield Step(what=f"restart {named}", back="", act=act, state=State.TO_DO)
    else:
        yield Step(what=what, back="", act=Commands((), back), state=State.DONE)


def in_foreground(known: Known) -> tuple[Words, ...]:
    """Return the commands that run hotdesk in the foreground."""
    answers = known.answers
    program = known.machine.program or PROGRAM
    if not answers.kafka:
        return ((program, "run", "--config", answers.settings),)
    made = []
    for name, port in ROLES.items():
        own_port = ("env", f"HOTDESK_API_PORT={port}") if port else ()
        made.append((*own_port, program, name.partition("-")[2], "--config", answers.settings))
    return tuple(made)


def by_other_init(known: Known) -> Iterator[str]:
    """Yield what a person does where no systemd is at work."""
    commands = in_foreground(known)
    yield "No systemd is at work here, so nothing starts hotdesk by itself. In the foreground:"
    yield from (f"    {shell(each)}" for each in commands)
    yield "At each start: a container has that as its command; another init has lines of its own, /etc/inittab such:"
    yield from (f"    hd{number}:2345:respawn:{_found(each)}" for number, each in enumerate(commands, 1))


def _found(words: Words) -> str:
    """Return a command for an init, which looks nothing up."""
    return shell(("/usr/bin/env", *words[1:]) if words[0] == "env" else words)
