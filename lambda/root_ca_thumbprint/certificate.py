"""The few fields of an X.509 certificate that choosing one takes, read from its DER.

The standard library reads no certificate but the verified leaf. These are the ones a server
presents, so any byte may be hostile: whatever is wrong ends in `UnreadableCertificate`.

See: https://www.rfc-editor.org/rfc/rfc5280#section-4.1
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from custom_resource import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOLEAN, OCTET_STRING, OBJECT_ID = 0x01, 0x04, 0x06
BMP_STRING, UTC_TIME, GENERALIZED_TIME = 0x1E, 0x17, 0x18
SEQUENCE = 0x30
VERSION, EXTENSIONS, AKI_KEY_ID = 0xA0, 0xA3, 0x80
TAG_GOES_ON, LENGTH_FOLLOWS = 0x1F, 0x80
# Bytes of a length: none would be BER's open end, and nothing here is 4 GiB long.
LENGTH_SIZES = range(1, 5)

SUBJECT_KEY_ID, BASIC_CONSTRAINTS, AUTHORITY_KEY_ID = (
    bytes.fromhex(code) for code in ("551d0e", "551d13", "551d23")
)
ATTRIBUTES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
}


class UnreadableCertificate(Failure):
    """A certificate that the server presents is no X.509 certificate."""

    def __init__(self, what: str) -> None:
        super().__init__(f"a certificate of the server cannot be read: {what}")


@dataclass(frozen=True)
class Certificate:
    """One certificate that a server presents."""

    der: bytes
    subject: bytes
    issuer: bytes
    not_before: datetime
    not_after: datetime
    is_ca: bool
    key_id: bytes | None
    issuer_key_id: bytes | None

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate, 40 lower-case hexadecimal characters."""
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest()

    @property
    def is_self_issued(self) -> bool:
        """Whether the walk upwards ends here: a root names itself as its issuer."""
        return self.subject == self.issuer

    @property
    def subject_text(self) -> str:
        """The subject for people to read, such as `C=US, O=Amazon, CN=Amazon Root CA 1`."""
        return ", ".join(_attributes(self.subject)) or "(no subject)"

    def is_valid_at(self, moment: datetime) -> bool:
        """Whether the moment lies in the validity period."""
        return self.not_before <= moment <= self.not_after

    def may_have_issued(self, other: Certificate) -> bool:
        """Whether the other names this one as its issuer, by name and, if it says, by key."""
        same_key = None in (self.key_id, other.issuer_key_id) or self.key_id == other.issuer_key_id
        return self.subject == other.issuer and same_key


def read_certificate(der: bytes) -> Certificate:
    """Read a certificate.

    Raises:
        UnreadableCertificate: It is none, or not in DER.
    """
    body = _Reader(_Reader(der).value(SEQUENCE)).value(SEQUENCE)
    fields = _Reader(body)
    if fields.next_tag() == VERSION:
        fields.element()
    fields.element()  # serial number
    fields.element()  # signature algorithm
    issuer = fields.value(SEQUENCE)
    validity = _Reader(fields.value(SEQUENCE))
    not_before, not_after = _time(*validity.element()), _time(*validity.element())
    subject = fields.value(SEQUENCE)
    extensions = dict(_extensions(fields))
    certificate = Certificate(
        der=der,
        subject=subject,
        issuer=issuer,
        not_before=not_before,
        not_after=not_after,
        is_ca=_is_ca(extensions.get(BASIC_CONSTRAINTS)),
        key_id=_key_id(extensions.get(SUBJECT_KEY_ID)),
        issuer_key_id=_issuer_key_id(extensions.get(AUTHORITY_KEY_ID)),
    )
    list(_attributes(subject))  # an unreadable subject is found here, not when it is shown
    return certificate


class _Reader:
    """Walks over the elements of a DER value: tag, length, value."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def next_tag(self) -> int | None:
        return self._data[self._at] if self._at < len(self._data) else None

    def element(self) -> tuple[int, bytes]:
        tag = self._byte()
        if tag & TAG_GOES_ON == TAG_GOES_ON:
            raise UnreadableCertificate("a tag of several bytes")
        length = self._byte()
        if length >= LENGTH_FOLLOWS:
            size = length - LENGTH_FOLLOWS
            if size not in LENGTH_SIZES:
                raise UnreadableCertificate("a length that DER does not have")
            length = int.from_bytes(self._take(size), "big")
        return tag, self._take(length)

    def value(self, expected_tag: int) -> bytes:
        tag, value = self.element()
        if tag != expected_tag:
            raise UnreadableCertificate(f"tag {tag:#04x} where {expected_tag:#04x} belongs")
        return value

    def elements(self) -> Iterator[tuple[int, bytes]]:
        while self.next_tag() is not None:
            yield self.element()

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise UnreadableCertificate("it ends too early")
        self._at += count
        return taken


def _time(tag: int, value: bytes) -> datetime:
    if tag == UTC_TIME:
        # https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5.1: 50 and above is 19xx
        value = (b"19" if value[:1] >= b"5" else b"20") + value
    elif tag != GENERALIZED_TIME:
        raise UnreadableCertificate(f"tag {tag:#04x} where a time belongs")
    parts = re.fullmatch(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z", value)
    if not parts:
        raise UnreadableCertificate("a time that is none")
    year, month, day, hour, minute, second = (int(part) for part in parts.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise UnreadableCertificate("a time that is none") from None


def _extensions(fields: _Reader) -> Iterator[tuple[bytes, bytes]]:
    for tag, value in fields.elements():
        if tag == EXTENSIONS:
            for _, extension in _Reader(_Reader(value).value(SEQUENCE)).elements():
                parts = _Reader(extension)
                name = parts.value(OBJECT_ID)
                if parts.next_tag() == BOOLEAN:  # critical
                    parts.element()
                yield name, parts.value(OCTET_STRING)


def _is_ca(basic_constraints: bytes | None) -> bool:
    if basic_constraints is None:
        return False
    parts = _Reader(_Reader(basic_constraints).value(SEQUENCE))
    return parts.next_tag() == BOOLEAN and parts.value(BOOLEAN) == b"\xff"


def _key_id(extension: bytes | None) -> bytes | None:
    return None if extension is None else _Reader(extension).value(OCTET_STRING)


def _issuer_key_id(extension: bytes | None) -> bytes | None:
    if extension is None:
        return None
    parts = dict(_Reader(_Reader(extension).value(SEQUENCE)).elements())
    return parts.get(AKI_KEY_ID)


def _attributes(name: bytes) -> Iterator[str]:
    for _, relative_name in _Reader(name).elements():
        for _, attribute in _Reader(relative_name).elements():
            parts = _Reader(attribute)
            kind = parts.value(OBJECT_ID)
            tag, value = parts.element()
            text = value.decode("utf-16-be" if tag == BMP_STRING else "utf-8", errors="replace")
            shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
            yield f"{ATTRIBUTES.get(kind, kind.hex())}={shown}"
