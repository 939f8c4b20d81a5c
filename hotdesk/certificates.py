"""TLS of hotdesk's own API: what it shows, and whom it believes."""

import ssl

from hotdesk.failures import SettingsError


class Certificate:
    """What the API shows to whoever connects."""

    def __init__(self, cert: str, key: str) -> None:
        """Read it.

        Raises:
            SettingsError: the files cannot be read, or do not belong together.
        """
        self._files = cert, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.read_again()

    def read_again(self) -> None:
        """Read the files as they are now: whoever connects from now on is shown that.

        Raises:
            SettingsError: as above; what was shown before is shown on.
        """
        cert, key = self._files
        try:
            # in another context first: one that failed half-way would show nobody anything
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
            self.context.load_cert_chain(cert, key)
        except OSError as error:
            raise SettingsError(
                f"api.tls_cert {cert} and api.tls_key {key} cannot be used: {error};"
                " give PEM files that belong together"
            ) from error


def trust(authority: str) -> ssl.SSLContext:
    """Give what an API is verified by: an authority's file, or what this machine trusts anyway.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=authority or None)
    except OSError as error:
        raise SettingsError(f"api.tls_ca {authority} cannot be used: {error}; give a PEM file") from error
