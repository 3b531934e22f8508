from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from root_ca_thumbprint.certificate import UnreadableCertificate, read_certificate
from tests.support.certificate_chains import authorities, issue

MUTATIONS_AN_EXAMPLE, EXAMPLES = 50, 200


def made_with(*attributes, not_after=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(list(attributes))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC))
        .not_valid_after(not_after)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_reads_what_the_cryptography_package_reads():
    issued = authorities().m01
    read = read_certificate(issued.der)
    assert read.subject_text == "C=US, O=Amazon, CN=Amazon RSA 2048 M01"
    assert read.not_before == issued.certificate.not_valid_before_utc
    assert read.not_after == issued.certificate.not_valid_after_utc
    assert read.is_ca
    assert not read.is_self_issued
    identifiers = issued.certificate.extensions
    assert (
        read.key_id == identifiers.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    )
    assert (
        read.issuer_key_id
        == identifiers.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    )


def test_the_thumbprint_is_40_lower_case_hexadecimal_characters():
    issued = authorities().root_1
    thumbprint = read_certificate(issued.der).thumbprint
    assert re.fullmatch("[0-9a-f]{40}", thumbprint)
    assert thumbprint == issued.certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303


def test_a_server_certificate_is_no_ca():
    issued = issue("host.test", authorities().m01, host="host.test")
    assert not read_certificate(issued.der).is_ca


def test_a_certificate_of_version_1_has_no_extensions():
    read = read_certificate(made_with(x509.NameAttribute(NameOID.COMMON_NAME, "old")))
    assert (read.is_ca, read.key_id, read.issuer_key_id) == (False, None, None)


@pytest.mark.parametrize("year", [1950, 1999, 2000, 2049, 2050, 9999])
def test_reads_years_of_both_notations(year):
    moment = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(1950, 1, 1, tzinfo=UTC))
        .not_valid_after(moment)
    )
    der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    assert read_certificate(der).not_after == moment


def test_validity_includes_both_ends():
    read = read_certificate(authorities().root_1.der)
    second = timedelta(seconds=1)
    assert [
        read.is_valid_at(moment)
        for moment in (
            read.not_before - second,
            read.not_before,
            read.not_after,
            read.not_after + second,
        )
    ] == [False, True, True, False]


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ([], "(no subject)"),
        ([x509.NameAttribute(NameOID.COMMON_NAME, "für \u4f60")], "CN=für \u4f60"),
        ([x509.NameAttribute(NameOID.COMMON_NAME, "wide", _ASN1Type.BMPString)], "CN=wide"),
        ([x509.NameAttribute(NameOID.COMMON_NAME, "a\nb\x1b[31m")], "CN=a\ufffdb\ufffd[31m"),
        ([x509.NameAttribute(NameOID.SERIAL_NUMBER, "7")], "550405=7"),
    ],
)
def test_the_subject_is_text_for_people(attributes, text):
    read = read_certificate(made_with(*attributes))
    assert read.subject_text == text


@pytest.mark.parametrize(
    ("der", "reason"),
    [
        (b"", "it ends too early"),
        (b"\x30", "it ends too early"),
        (b"\x30\x80\x00\x00", "a length that DER does not have"),
        (b"\x30\x85\x01\x00\x00\x00\x00", "a length that DER does not have"),
        (b"\x30\x84\xff\xff\xff\xff", "it ends too early"),
        (b"\x02\x01\x00", "tag 0x02 where 0x30 belongs"),
        (b"\x3f\x81\x01\x00", "a tag of several bytes"),
        (b"-----BEGIN CERTIFICATE-----", "it ends too early"),
    ],
)
def test_says_why_bytes_are_no_certificate(der, reason):
    with pytest.raises(
        UnreadableCertificate, match=f"^a certificate of the server cannot be read: {reason}$"
    ):
        read_certificate(der)


@pytest.mark.parametrize("time", [b"991332235959Z", b"9912312359590", b"99123123595", b"\xd9" * 13])
def test_refuses_a_time_that_is_none(time):
    der = authorities().root_1.der
    start = der.index(b"\x17\x0d") + 2
    broken = der[:start] + time.ljust(13, b"Z") + der[start + 13 :]
    with pytest.raises(UnreadableCertificate, match="a time that is none"):
        read_certificate(broken)


def test_refuses_every_certificate_that_is_cut_short():
    der = authorities().m01.der
    for end in range(len(der)):
        with pytest.raises(UnreadableCertificate):
            read_certificate(der[:end])


def mutated(der, dice):
    data = bytearray(der)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(data))
        match dice.randrange(5):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                data[at] ^= 1 << dice.randrange(8)
            case 2:
                del data[at : at + dice.randint(1, 16)]
            case 3:
                data[at:at] = dice.randbytes(dice.randint(1, 16))
            case 4:
                source = dice.randrange(len(data))
                data[at : at + 16] = data[source : source + 16]
        if not data:
            break
    return bytes(data)


def test_survives_ten_thousand_mutated_certificates():
    ca = authorities()
    certificates = [ca.m01.der, ca.root_1_cross.der, issue("a", ca.m01, host="a.test").der]
    counts = {"tried": 0, "read": 0}

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(st.integers(0, 2**64), st.sampled_from(certificates))
    def survives(seed, der):
        dice = random.Random(seed)  # noqa: S311 - a repeatable one
        for _ in range(MUTATIONS_AN_EXAMPLE):
            counts["tried"] += 1
            try:
                read = read_certificate(mutated(der, dice))
            except UnreadableCertificate:
                continue
            counts["read"] += 1
            assert read.subject_text
            assert len(read.thumbprint) == 40

    survives()
    assert counts["tried"] >= 10_000
    assert counts["read"] > 100, "mutations so coarse that none gets past the first fields"


@given(st.binary(max_size=300))
def test_survives_any_bytes(data):
    with pytest.raises(UnreadableCertificate):
        read_certificate(data)
