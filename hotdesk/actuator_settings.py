"""The settings of a cluster's actuators, apart from these: most commands need only the settings."""

import msgspec

from collectors.vicidial.settings import DatabaseSettings


class ActuatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach VICIdial and agents' screens."""

    database: DatabaseSettings
    api_urls: tuple[str, ...] = ()
    """Addresses of VICIdial's agent API; empty: by SQL."""
    api_user: str = ""
    api_password: str = ""

    def __repr__(self) -> str:
        return f"ActuatorSettings({self.database!r}, api_urls={self.api_urls!r}, api_user={self.api_user!r})"
