"""Valid and invalid certificates for servers on this machine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE = x509.IPAddress(IPv4Address("127.0.0.1"))
LOCALHOST = x509.DNSName("localhost")
DAY = timedelta(days=1)
_MAY_SIGN = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _name(common_name: str) -> x509.Name:
    """Return the X.509 name of a subject."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass(kw_only=True)
class Authority:
    """A certificate authority."""

    folder: Path
    name: str = "An authority"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def certificate(
        self,
        key: ec.EllipticCurvePrivateKey,
        name: str,
        *names: x509.GeneralName,
        lasts: timedelta = DAY,
        begins: timedelta = -2 * DAY,
    ) -> bytes:
        """Return a signed certificate; its validity is relative to the current time."""
        now = datetime.now(UTC)
        own, signing = key.public_key(), self.key.public_key()
        is_authority = key is self.key
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(self.name))
            .public_key(own)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signing), critical=False
            )
        )
        if is_authority:
            builder = builder.add_extension(_MAY_SIGN, critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(
        self,
        *names: x509.GeneralName,
        lasts: timedelta = DAY,
        begins: timedelta = -2 * DAY,
    ) -> ssl.SSLContext:
        """Return the TLS context of a server with a certificate of this authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = self.certificate(
            key, "portal", *(names or (HERE, LOCALHOST)), lasts=lasts, begins=begins
        )
        return self._context(key, pem)

    def self_signed(self) -> ssl.SSLContext:
        """Return the TLS context of a server with a self-signed certificate."""
        return self._context(self.key, self.certificate(self.key, self.name, HERE, LOCALHOST))

    def trusting(self) -> ssl.SSLContext:
        """Return the TLS context of a client that trusts this authority."""
        pem = self.certificate(self.key, self.name)
        return ssl.create_default_context(cadata=pem.decode())

    def _context(self, key: ec.EllipticCurvePrivateKey, pem: bytes) -> ssl.SSLContext:
        """Return the TLS context of a server with a key and its certificate."""
        file = self.folder / "server.pem"
        file.write_bytes(
            pem
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context


# The TLS context and host of a server for each problem, with the text that describes it to a user.
BAD_CERTIFICATES: dict[str, tuple[Callable[[Authority], ssl.SSLContext], str, str]] = {
    "self-signed": (Authority.self_signed, "127.0.0.1", "127.0.0.1 is self-signed"),
    "unknown authority": (
        lambda own: Authority(folder=own.folder, name="Somebody").server(),
        "127.0.0.1",
        "127.0.0.1 comes from an unknown authority",
    ),
    "expired": (lambda own: own.server(lasts=-DAY), "127.0.0.1", "127.0.0.1 has expired"),
    "not valid yet": (
        lambda own: own.server(begins=DAY, lasts=2 * DAY),
        "127.0.0.1",
        "127.0.0.1 is not valid yet; check the clock of this machine",
    ),
    "other name": (
        lambda own: own.server(x509.DNSName("portal.example")),
        "localhost",
        "localhost is for another host name",
    ),
    "other address": (
        lambda own: own.server(LOCALHOST),
        "127.0.0.1",
        "127.0.0.1 is for another address",
    ),
}
