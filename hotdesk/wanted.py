"""The work that a process is wanted for, and for which clusters."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from collectors.probes.prober import ProbeSettings
from collectors.vicidial.settings import DatabaseSettings
from controller.core.policy import Policy
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.notify.senders import Told
from hotdesk.settings import ApiOptions, LogOptions


class Role(StrEnum):
    """The roles of a process."""

    COLLECT = "collect"
    CONTROL = "control"
    SERVE = "serve"


class Wanted(NamedTuple):
    """The roles, settings and clusters of one process."""

    roles: frozenset[Role]
    log: LogOptions
    api: ApiOptions
    databases: Mapping[str, DatabaseSettings]
    """By cluster."""
    policies: Mapping[str, Policy]
    """By cluster; a cluster without one is judged by the defaults."""
    probes: Mapping[str, ProbeSettings] = MappingProxyType({})
    """By cluster; the dialers of a cluster without one are not probed."""
    actuators: Mapping[str, ActuatorSettings] = MappingProxyType({})
    """By cluster: how agents' screens are told; for one without, moves are advice."""
    told: Mapping[str, Told] = MappingProxyType({})
    """By name: who is told outside, and how."""
