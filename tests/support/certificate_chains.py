"""Certificate chains as servers present them, the good ones and the others.

Amazon's names and shapes are the real ones; the keys are made anew in every run.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate and the key that it certifies."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @property
    def thumbprint(self) -> str:
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest()


def issue(
    common_name: str,
    by: Issued | None = None,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    host: str | None = None,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + 3650 * DAY,
    key_ids: bool = True,
) -> Issued:
    """Issue a certificate: a root without `by`, a server's with `host`, a CA's otherwise."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = by.key if by else key
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Amazon"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=not host, path_length=None), critical=True)
    )
    if host:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
    if key_ids:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    return Issued(builder.sign(signer, hashes.SHA256()), key)


@dataclass(frozen=True)
class Authorities:
    """The certificates behind Amazon's servers, and a few that are expired or nobody's."""

    class_2: Issued
    g2_root: Issued
    g2_cross: Issued
    root_1: Issued
    root_1_cross: Issued
    root_1_cross_expired: Issued
    m01: Issued
    m01_expired: Issued
    m01_soon_over: Issued
    stray: Issued


@functools.cache
def authorities() -> Authorities:
    class_2 = issue("Starfield Class 2")
    g2_root = issue("Starfield Services Root CA - G2")
    g2_cross = issue("Starfield Services Root CA - G2", class_2, key=g2_root.key)
    root_1 = issue("Amazon Root CA 1")
    m01 = issue("Amazon RSA 2048 M01", root_1)
    return Authorities(
        class_2=class_2,
        g2_root=g2_root,
        g2_cross=g2_cross,
        root_1=root_1,
        root_1_cross=issue("Amazon Root CA 1", g2_root, key=root_1.key),
        root_1_cross_expired=issue(
            "Amazon Root CA 1",
            g2_root,
            key=root_1.key,
            not_before=NOW - 9 * DAY,
            not_after=NOW - DAY,
        ),
        m01=m01,
        m01_expired=issue(
            "Amazon RSA 2048 M01",
            root_1,
            key=m01.key,
            not_before=NOW - 9 * DAY,
            not_after=NOW - DAY,
        ),
        m01_soon_over=issue("Amazon RSA 2048 M01", root_1, key=m01.key, not_after=NOW + 90 * DAY),
        stray=issue("Somebody else's CA"),
    )


@dataclass(frozen=True)
class Chain:
    """What a server presents, its own certificate first, and the root that clients trust."""

    presented: tuple[Issued, ...]
    anchor: Issued
    top: Issued

    @property
    def pem(self) -> str:
        return self.presented[0].key_pem + "".join(issued.pem for issued in self.presented)

    @property
    def der(self) -> list[bytes]:
        return [issued.der for issued in self.presented]


def acm_now(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf, ca.m01, ca.root_1_cross), ca.root_1, top=ca.root_1_cross)


def acm_before_2024(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    presented = (leaf, ca.m01, ca.root_1_cross, ca.g2_cross)
    return Chain(presented, ca.class_2, top=ca.g2_cross)


def one_intermediate(host: str) -> Chain:
    ca = authorities()
    return Chain((issue(host, ca.m01, host=host), ca.m01), ca.root_1, top=ca.m01)


def without_key_ids(host: str) -> Chain:
    root = issue("Plain root", key_ids=False)
    middle = issue("Plain CA", root, key_ids=False)
    leaf = issue(host, middle, host=host, key_ids=False)
    return Chain((leaf, middle), root, top=middle)


def root_sent_too(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf, ca.m01, ca.root_1), ca.root_1, top=ca.root_1)


def leaf_only(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.root_1, host=host)
    return Chain((leaf,), ca.root_1, top=leaf)


def expired_twin_first(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf, ca.m01_expired, ca.m01), ca.root_1, top=ca.m01)


def expires_soon(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf, ca.m01_soon_over), ca.root_1, top=ca.m01_soon_over)


def expired_cross_on_top(host: str) -> Chain:
    """The path ends in the trust store before it comes to the expired one: clients accept it."""
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf, ca.m01, ca.root_1_cross_expired), ca.root_1, top=ca.root_1_cross_expired)


def out_of_order(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf, ca.root_1_cross, ca.m01), ca.root_1, top=ca.root_1_cross)


def stray_at_the_end(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    presented = (leaf, ca.m01, ca.root_1_cross, ca.stray)
    return Chain(presented, ca.root_1, top=ca.root_1_cross)


def stray_of_the_same_name(host: str) -> Chain:
    """Another CA with the issuer's name, but not its key, and that one's own issuer."""
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    namesake = issue("Amazon RSA 2048 M01", ca.stray)
    return Chain((leaf, namesake, ca.m01, ca.stray), ca.root_1, top=ca.m01)


def expired_twin_last(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf, ca.m01, ca.m01_expired), ca.root_1, top=ca.m01)


def cross_signed_and_root(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    presented = (leaf, ca.m01, ca.root_1_cross, ca.root_1)
    return Chain(presented, ca.root_1, top=ca.root_1_cross)


def expired_intermediate(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf, ca.m01_expired), ca.root_1, top=ca.m01_expired)


def expired_leaf(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    return Chain((leaf, ca.m01), ca.root_1, top=ca.m01)


def wrong_host_name(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=f"not-{host}")
    return Chain((leaf, ca.m01), ca.root_1, top=ca.m01)


def missing_intermediate(host: str) -> Chain:
    ca = authorities()
    leaf = issue(host, ca.m01, host=host)
    return Chain((leaf,), ca.root_1, top=leaf)


# For these, "the last that openssl displays" is the same certificate.
ORDERED = (
    acm_now,
    acm_before_2024,
    one_intermediate,
    without_key_ids,
    root_sent_too,
    leaf_only,
    expired_twin_first,
    expires_soon,
    expired_cross_on_top,
)
UNORDERED = (
    out_of_order,
    stray_at_the_end,
    stray_of_the_same_name,
    expired_twin_last,
    cross_signed_and_root,
)
