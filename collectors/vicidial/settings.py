"""The settings of a connection to VICIdial's database, apart from the client: most commands need only these."""

import msgspec


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a cluster's database, and the login."""

    host: str = "127.0.0.1"
    port: int = 3306
    socket: str = ""
    """Path of a socket, in place of host and port."""
    user: str = "hotdesk"
    password: str = ""
    database: str = "asterisk"
    tls_ca: str = ""
    """File with the certificate authority; empty: TLS if the server offers it, without any verification."""

    def __repr__(self) -> str:
        return f"DatabaseSettings({self.where}, user={self.user!r})"

    @property
    def where(self) -> str:
        """The database's address for people."""
        return f"{self.socket or f'{self.host}:{self.port}'}/{self.database}"
