"""HTTPS with a certificate that is made at start, or given."""

from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
import ssl
import subprocess
import sys

from aiohttp import ClientConnectionError, ClientPayloadError, ClientSession, TCPConnector
import pytest
import trustme

from mock_portal import MockPortal, SetupError

from .conftest import DOCUMENTED


def _trusting(file: Path | None) -> ssl.SSLContext:
    """Return the TLS context of a client that trusts an authority, as strictly as Python can."""
    context = ssl.create_default_context(cafile=file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def _status(portal: MockPortal, authority: Path | None, name: str = "127.0.0.1") -> int:
    """Return the status with which a portal answers a client that trusts an authority."""
    port = int(portal.url.split(":")[2].removesuffix("/api"))
    connection = HTTPSConnection(name, port, context=_trusting(authority))
    with closing(connection):
        connection.request("GET", "/_mock/health")
        return connection.getresponse().status


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_own_certificate(name: str) -> None:
    """A client that trusts the file of the portal reaches it under each of its names."""
    with MockPortal.in_thread(tls=True) as portal:
        assert portal.url.startswith("https://127.0.0.1:")
        assert portal.ca_file is not None
        assert _status(portal, portal.ca_file, name) == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            _status(portal, None, name)
    assert not portal.ca_file.exists()


@pytest.mark.parametrize("host", ["::1", "0.0.0.0", "a_name", "portal.example"])  # noqa: S104
def test_names(host: str, tmp_path: Path) -> None:
    """The certificate names what the portal listens on, where a certificate can."""
    portal = MockPortal(host=host, tls=True, ca_file=tmp_path / "ca.pem")
    assert portal.url.startswith("https://")
    assert portal.ca_file == tmp_path / "ca.pem"
    assert not portal.ca_file.exists()


def test_curl(tmp_path: Path) -> None:
    """Any client can take the file, here curl; others may read it, and it is gone in the end."""
    file = tmp_path / "ca.pem"
    with MockPortal.in_thread(tls=True, ca_file=file) as portal:
        assert portal.ca_file == file
        assert file.stat().st_mode & 0o777 == 0o644
        command = ["curl", "-sS", "--cacert", str(file), f"{portal.control_url}/health"]
        out = subprocess.run(command, capture_output=True, check=True, text=True).stdout  # noqa: S603
        assert '"status": "ok"' in out
    assert list(tmp_path.iterdir()) == []


def test_restart() -> None:
    """A portal that comes back has the certificate that its clients trust."""
    with MockPortal.in_thread(tls=True) as portal:
        assert portal.ca_file is not None
        trusted = portal.ca_file.read_text()
        portal.stop_now()
        assert not portal.ca_file.exists()
        portal.start_now()
        assert portal.ca_file.read_text() == trusted
        assert _status(portal, portal.ca_file) == 200


async def test_faults() -> None:
    """Faults happen on an encrypted connection, too."""
    async with (
        MockPortal(tls=True) as portal,
        ClientSession(connector=TCPConnector(ssl=_trusting(portal.ca_file))) as session,
    ):
        url = f"{portal.url}/getStatus/{DOCUMENTED}"
        headers = {"Authorization": portal.state.login("demo-client", "demo-secret").value}
        for kind in ("reset_before_read", "reset_after_read"):
            portal.faults.add(kind)
            with pytest.raises(ClientConnectionError):
                await session.get(url, headers=headers)
            portal.faults.clear()
        portal.faults.add("truncated_body", times=1)
        with pytest.raises(ClientPayloadError):
            await (await session.get(url, headers=headers)).read()
        portal.faults.add("slow_drip", seconds=0, times=1)
        assert await (await session.get(url, headers=headers)).text() == "INVENTORY"


async def test_plain_http_on_the_port(caplog: pytest.LogCaptureFixture) -> None:
    """A client that forgets the s gets no answer, and the portal goes on."""
    async with (
        MockPortal(tls=True) as portal,
        ClientSession(connector=TCPConnector(ssl=_trusting(portal.ca_file))) as session,
    ):
        with pytest.raises(ClientConnectionError):
            await session.get(portal.control_url.replace("https", "http"))
        assert (await session.get(f"{portal.control_url}/health")).status == 200
    assert not caplog.records


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return the files of an authority, a certificate and its key."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = (tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")
    authority.cert_pem.write_to_path(files[0])
    issued.cert_chain_pems[0].write_to_path(files[1])
    issued.private_key_pem.write_to_path(files[2])
    return files


def test_given_certificate(pair: tuple[Path, Path, Path]) -> None:
    """A certificate that is given is used, and nothing is written."""
    authority, cert, key = pair
    with MockPortal.in_thread(tls=(cert, str(key))) as portal:
        assert portal.ca_file is None
        assert _status(portal, authority) == 200
    assert cert.exists()


def test_certificates_that_are_none(pair: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """What is wrong with a certificate is said in a sentence."""
    _, cert, key = pair
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("x").private_key_pem.write_to_path(other)
    for files, message in (
        ((tmp_path / "none.pem", key), "none.pem cannot be read: No such file"),
        ((cert, tmp_path / "none.pem"), "none.pem cannot be read: No such file"),
        ((tmp_path, key), "cannot be read: Is a directory"),
        ((key, cert), "are no certificate with its key: one is no PEM file"),
        ((cert, other), "the key is that of another one"),
    ):
        with pytest.raises(SetupError, match=message):
            MockPortal(tls=files)


def test_key_with_a_password(pair: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """A key with a password is refused; nobody is asked for it."""
    _, cert, key = pair
    locked = tmp_path / "locked.pem"
    command = [
        "openssl",
        "pkey",
        "-in",
        str(key),
        "-aes256",
        "-passout",
        "pass:word",
        "-out",
        str(locked),
    ]
    subprocess.run(command, check=True)  # noqa: S603
    with pytest.raises(SetupError, match="has a password"):
        MockPortal(tls=(cert, locked))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library for certificates is missing, the error says what to do."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(SetupError, match="pip install trustme"):
        MockPortal(tls=True)
    MockPortal()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """A portal that cannot write its authority does not listen."""
    with (
        pytest.raises(SetupError, match="cannot be written: No such file or directory"),
        MockPortal.in_thread(tls=True, ca_file=tmp_path / "none" / "ca.pem"),
    ):
        pytest.fail("It listens")


def test_plain_http_loads_no_library() -> None:
    """A portal that speaks plain HTTP starts without the library for certificates."""
    program = (
        "import sys, mock_portal.cli\n"
        "mock_portal.MockPortal()\n"
        "assert not {'trustme', 'cryptography'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  ours
