"""An authority for tests and benchmarks, and the certificates that it issues to an API."""

import ssl
from pathlib import Path

import trustme


class Issuer:
    """An authority, and files of what it issued."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def issue(self) -> dict[str, str]:
        """Return the settings of an API at a free port with a new certificate, in the same files as before."""
        made = self._authority.issue_cert("127.0.0.1")
        cert, key = self._folder / "api.pem", self._folder / "api.key"
        made.cert_chain_pems[0].write_to_path(str(cert))
        made.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
        return {
            "HOTDESK_API_TLS_CERT": str(cert),
            "HOTDESK_API_TLS_KEY": str(key),
            "HOTDESK_API_TLS_CA": str(self.file),
            "HOTDESK_API_PORT": "0",
        }

    def believing(self) -> ssl.SSLContext:
        """Return the context of a client that believes this authority alone."""
        return ssl.create_default_context(cafile=str(self.file))
