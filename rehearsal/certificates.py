"""Throw-away certificates: a public-looking three-level chain, and a cluster's own authority."""

import datetime as dt
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_LIFE = dt.timedelta(days=2)
_SKEW = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Chain:
    """Files of a server certificate: leaf, intermediate, root.

    Args:
        root: PEM of the root alone; clients trust this.
        full: PEM of leaf, intermediate and root, as AWS's OIDC hosts present them.
        key: PEM of the leaf's private key.
        thumbprint: SHA-1 of the root, 40 hexadecimal characters.
    """

    root: Path
    full: Path
    key: Path
    thumbprint: str


def server_chain(folder: Path, hosts: Sequence[str]) -> Chain:
    """Make a root, an intermediate and a certificate for *hosts* (names or addresses)."""
    folder.mkdir(parents=True, exist_ok=True)
    root_key, intermediate_key = new_key(), new_key()
    # RSA, because the emulator hands the leaf to Node and Python clients of all ages.
    leaf_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    root_name, intermediate_name = name("Rehearsal Root CA"), name("Rehearsal Intermediate CA")
    root = certificate(root_name, root_key, issuer=root_name, issuer_key=root_key)
    intermediate = certificate(
        intermediate_name, intermediate_key, issuer=root_name, issuer_key=root_key
    )
    leaf = certificate(
        name(hosts[0]),
        leaf_key,
        issuer=intermediate_name,
        issuer_key=intermediate_key,
        hosts=hosts,
    )
    chain = Chain(
        root=folder / "root.pem",
        full=folder / "full.pem",
        key=folder / "key.pem",
        thumbprint=hashlib.sha1(
            root.public_bytes(serialization.Encoding.DER), usedforsecurity=False
        ).hexdigest(),
    )
    chain.root.write_bytes(pem(root))
    chain.full.write_bytes(pem(leaf) + pem(intermediate) + pem(root))
    write_key(chain.key, leaf_key)
    return chain


@dataclass(frozen=True)
class Authority:
    """A cluster's own certificate authority."""

    folder: Path
    key: PrivateKey
    subject: x509.Name

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        """Make the authority; its certificate is `ca.crt` in *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        authority = cls(folder, new_key(), name("kubernetes"))
        root = certificate(
            authority.subject, authority.key, issuer=authority.subject, issuer_key=authority.key
        )
        authority.certificate.write_bytes(pem(root))
        return authority

    @property
    def certificate(self) -> Path:
        """PEM of the authority's certificate."""
        return self.folder / "ca.crt"

    def issue(
        self,
        common_name: str,
        *,
        organization: str | None = None,
        hosts: Sequence[str] = (),
    ) -> tuple[Path, Path]:
        """Make a certificate: for a server if *hosts* are given, else for a client.

        Returns:
            The paths of the certificate and of its key.
        """
        key = new_key()
        made = certificate(
            name(common_name, organization),
            key,
            issuer=self.subject,
            issuer_key=self.key,
            hosts=hosts,
            client=not hosts,
        )
        certificate_path = self.folder / f"{common_name}.crt"
        key_path = self.folder / f"{common_name}.key"
        certificate_path.write_bytes(pem(made))
        write_key(key_path, key)
        return certificate_path, key_path


def certificate(
    subject: x509.Name,
    key: PrivateKey,
    *,
    issuer: x509.Name,
    issuer_key: PrivateKey,
    hosts: Sequence[str] = (),
    client: bool = False,
) -> x509.Certificate:
    """Sign a certificate: an authority's, unless *hosts* or *client* say otherwise."""
    is_authority = not hosts and not client
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(_key_usage(authority=is_authority), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_alternative_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    if not is_authority:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def write_key(path: Path, key: PrivateKey) -> None:
    """Write *key* as PKCS 8, readable by its owner only."""
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def pem(made: x509.Certificate) -> bytes:
    """Return *made* as PEM."""
    return made.public_bytes(serialization.Encoding.PEM)


def name(common_name: str, organization: str | None = None) -> x509.Name:
    """Return a distinguished name."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
