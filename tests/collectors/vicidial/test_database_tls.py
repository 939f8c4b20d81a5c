"""A database over TLS: only the right authority is believed, and nothing is sent to any other."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trustme

from collectors.vicidial.database import DatabaseRefusedError, VicidialDatabase
from collectors.vicidial.parts import Wanted
from collectors.vicidial.settings import DatabaseSettings
from simulator import schema
from simulator.database import Database


class Guarded:
    """A server with a certificate, and accounts that want TLS."""

    def __init__(self, database: Database, authority: trustme.CA, file: Path) -> None:
        self.database = database
        self.authority = authority
        self.settings = DatabaseSettings(
            host=database.host,
            port=database.port,
            user="over_tls",
            password="only-over-tls",
            database="asterisk",
            tls_ca=str(file),
        )


@pytest.fixture(scope="module")
def guarded(server_folder: Path) -> Iterator[Guarded]:
    """Yield the server."""
    folder = server_folder / "tls"
    folder.mkdir()
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    cert, key, file = (folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
    made.cert_chain_pems[0].write_to_path(str(cert))
    made.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(file))
    # a server that root starts becomes somebody else
    for each in (server_folder, folder, cert, key):
        each.chmod(0o755)
    with Database(folder / "mariadb", (cert, key)) as database:
        with database.connect() as administrator, administrator.cursor() as cursor:
            schema.create(administrator, "asterisk")
            cursor.execute("CREATE USER 'over_tls'@'%' IDENTIFIED BY 'only-over-tls' REQUIRE SSL")
            cursor.execute("GRANT SELECT ON asterisk.* TO 'over_tls'@'%'")
        yield Guarded(database, authority, file)


def test_the_right_authority_is_believed(guarded: Guarded) -> None:
    with VicidialDatabase(guarded.settings) as database:
        assert database.read(Wanted(agents=True, catalogue=True)).dialers == ()


def test_any_other_is_refused_in_one_line(guarded: Guarded, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pytest.raises(DatabaseRefusedError, match="do not agree on TLS") as refused:
        VicidialDatabase(msgspec.structs.replace(guarded.settings, tls_ca=str(other)))
    assert "\n" not in str(refused.value)
    assert "only-over-tls" not in str(refused.value)


def test_without_an_authority_what_the_server_shows_is_taken(guarded: Guarded) -> None:
    with VicidialDatabase(msgspec.structs.replace(guarded.settings, tls_ca="")) as database:
        assert database.holds_lock() is False


def test_a_certificate_for_another_name_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    shutil.copy(guarded.settings.tls_ca, tmp_path / "ca.pem")
    with pytest.raises(DatabaseRefusedError, match=r"do not agree on TLS: .*localhost"):
        VicidialDatabase(msgspec.structs.replace(guarded.settings, host="localhost"))


def test_a_server_without_tls_is_refused_where_it_is_asked_for(guarded: Guarded, database: Database) -> None:
    with pytest.raises(DatabaseRefusedError, match="offers no TLS"):
        VicidialDatabase(msgspec.structs.replace(guarded.settings, port=database.port))
