"""TLS of hotdesk's own API: its certificate, and the authorities to verify one by."""

import ssl

from hotdesk.errors import SettingsError
from messages.shown import reason_of


class Certificate:
    """The API's certificate."""

    def __init__(self, cert: str, key: str) -> None:
        """Read the certificate and its key.

        Raises:
            SettingsError: the files cannot be read, or do not belong together.
        """
        self._files = cert, key
        self._shown = self._read()
        self.context = self._read()
        # a context in use by handshakes is never changed: it takes certificate and key in two calls
        self.context.sni_callback = lambda connection, _name, _context: setattr(connection, "context", self._shown)

    def read_again(self) -> None:
        """Read the files again: new connections get the present certificate.

        Raises:
            SettingsError: as above; the certificate stays as it was.
        """
        self._shown = self._read()

    def _read(self) -> ssl.SSLContext:
        cert, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # an empty password: for a key that has one, Python would ask at the terminal
            context.load_cert_chain(cert, key, password="")
        except OSError as error:
            raise SettingsError(
                f"api.tls_cert {cert} and api.tls_key {key} cannot be used: {reason_of(error)};"
                " name PEM files that belong together, the key without a password"
            ) from error
        return context


def trust(authority: str, setting: str = "api.tls_ca") -> ssl.SSLContext:
    """Return the TLS context that verifies an API: by an authority's file, or by the system's authorities.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=authority or None)
    except OSError as error:
        raise SettingsError(f"{setting} {authority} cannot be used: {reason_of(error)}; name a PEM file") from error
