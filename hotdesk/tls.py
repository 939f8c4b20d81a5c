"""TLS of hotdesk's own API: what it shows, and whom it believes."""

import ssl

from hotdesk.errors import SettingsError


class Certificate:
    """What the API shows to whoever connects."""

    def __init__(self, cert: str, key: str) -> None:
        """Read it.

        Raises:
            SettingsError: the files cannot be read, or do not belong together.
        """
        self._files = cert, key
        self._shown = self._read()
        self.context = self._read()
        # a context that handshakes use is never changed: certificate and key are two calls
        self.context.sni_callback = lambda connection, _name, _context: setattr(connection, "context", self._shown)

    def read_again(self) -> None:
        """Read the files as they are now: whoever connects from now on is shown that.

        Raises:
            SettingsError: as above; what was shown before is shown on.
        """
        self._shown = self._read()

    def _read(self) -> ssl.SSLContext:
        cert, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # the password: a key that has one would be asked for at the terminal
            context.load_cert_chain(cert, key, password="")
        except OSError as error:
            raise SettingsError(
                f"api.tls_cert {cert} and api.tls_key {key} cannot be used: {error};"
                " give PEM files that belong together, the key without a password"
            ) from error
        return context


def trust(authority: str) -> ssl.SSLContext:
    """Give what an API is verified by: an authority's file, or what this machine trusts anyway.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=authority or None)
    except OSError as error:
        raise SettingsError(f"api.tls_ca {authority} cannot be used: {error}; give a PEM file") from error
