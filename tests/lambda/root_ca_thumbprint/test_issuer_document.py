from __future__ import annotations

import json

import pytest

from custom_resource import Failure
from root_ca_thumbprint.issuer_document import Endpoint, Issuer, keys_endpoint

EKS = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
LABEL_63, LABEL_64 = "a" * 63, "a" * 64


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        (
            EKS,
            "oidc.eks.eu-west-1.amazonaws.com",
            "/id/0123456789ABCDEF0123456789ABCDEF",
        ),
        ("https://oidc.eks.cn-north-1.amazonaws.com.cn/id/A", None, "/id/A"),
        ("https://oidc-eks.eu-west-1.api.aws/id/A", None, "/id/A"),
        ("https://oidc.eks.us-iso-east-1.c2s.ic.gov/id/A", None, "/id/A"),
        ("https://token.actions.githubusercontent.com", None, ""),
        ("https://bucket.s3.eu-west-1.amazonaws.com/some-path_1~/a.b%20", None, None),
        ("https://xn--bcher-kva.example", None, ""),
        ("https://localhost/id/A", None, "/id/A"),
        (f"https://{LABEL_63}.test", None, ""),
        ("https://a.test/" + "b" * 240, None, None),
    ],
)
def test_takes_what_iam_takes(url, host, path):
    issuer = Issuer.from_url(url)
    assert issuer.url == url
    assert issuer.host == host or host is None
    assert issuer.path == path or path is None
    assert issuer.endpoint == Endpoint(issuer.host, 443)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://a.test/id/A", "must start with https://"),
        ("HTTPS://a.test/id/A", "must start with https://"),
        ("a.test/id/A", "must start with https://"),
        ("", "must start with https://"),
        (None, "must start with https://"),
        (["https://a.test"], "must start with https://"),
        ("https://user:password@a.test/id/A", "must have no user name"),
        ("https://@a.test/id/A", "must have no user name"),
        ("https://192.0.2.1/id/A", "must have a host name, not an address"),
        ("https://[2001:db8::1]/id/A", "must have a host name, not an address"),
        ("https://[::1]:443/id/A", "must have a host name, not an address"),
        ("https://127.1/id/A", "must have a host name, not an address"),
        ("https://2130706433/id/A", "must have a host name, not an address"),
        ("https://0x7f000001/id/A", "must have a host name, not an address"),
        ("https://0177.0.0.1/id/A", "must have a host name, not an address"),
        ("https://0x7f.1./id/A", "must have a host name, not an address"),
        ("https://a.test:443/id/A", "must have no port"),
        ("https://a.test:/id/A", "must have no port"),
        ("https://192.0.2.1:8443/id/A", "must have a host name, not an address"),
        ("https://a.test/id/A?b=c", "must have no query or fragment"),
        ("https://a.test?b=c", "must have no query or fragment"),
        ("https://a.test/id/A#b", "must have no query or fragment"),
        ("https://a.test/id/A/", "must have no trailing slash"),
        ("https://a.test/", "must have no trailing slash"),
        ("https://a.test//id", "must have a plain path"),
        ("https://a.test/id/A b", "must have a plain path"),
        ("https://a.test/id/A\r\nHost: b", "must have a plain path"),
        ("https://a.test/id/A\n", "must have a plain path"),
        ("https://a.test/id/é", "must have a plain path"),
        ("https://a.test\\b/id", "must have a lower-case host name"),
        ("https://A.test/id/A", "must have a lower-case host name"),
        ("https:///id/A", "must have a lower-case host name"),
        ("https://a..b/id/A", "must have a lower-case host name"),
        ("https://a.test./id/A", "must have a lower-case host name"),
        ("https://-a.test/id/A", "must have a lower-case host name"),
        ("https://a_b.test/id/A", "must have a lower-case host name"),
        ("https://bücher.test/id/A", "must have a lower-case host name"),
        (f"https://{LABEL_64}.test", "must have a lower-case host name"),
        ("https://a.test/" + "b" * 241, "must be at most 255 characters"),
    ],
)
def test_refuses_what_iam_or_we_would_not_reach(url, fault):
    with pytest.raises(Failure, match="the issuer URL ") as failure:
        Issuer.from_url(url)
    assert fault in str(failure.value)
    assert f"got {url!r}" in str(failure.value)


def test_lists_all_faults_of_a_url():
    with pytest.raises(Failure) as failure:
        Issuer.from_url("https://a.test:8443/id/A/")
    assert str(failure.value) == (
        "the issuer URL must have no trailing slash: tokens carry it without; must have no port: "
        "IAM takes none; got 'https://a.test:8443/id/A/'; copy it from the cluster"
    )


def document(**changes):
    return json.dumps({"issuer": EKS, "jwks_uri": f"{EKS}/keys"} | changes).encode()


@pytest.mark.parametrize(
    ("jwks_uri", "endpoint"),
    [
        (f"{EKS}/keys", Endpoint("oidc.eks.eu-west-1.amazonaws.com")),
        ("https://keys.example.com", Endpoint("keys.example.com")),
        ("https://Keys.Example.com/jwks?v=1#a", Endpoint("keys.example.com")),
        ("https://keys.example.com:443/jwks", Endpoint("keys.example.com", 443)),
        ("https://keys.example.com:8443/jwks", Endpoint("keys.example.com", 8443)),
        ("https://keys.example.com?v=1", Endpoint("keys.example.com")),
    ],
)
def test_finds_where_the_keys_are(jwks_uri, endpoint):
    assert keys_endpoint(document(jwks_uri=jwks_uri), Issuer.from_url(EKS)) == endpoint


@pytest.mark.parametrize(
    ("jwks_uri", "fault"),
    [
        ("http://keys.example.com", "starts with https://"),
        ("/keys", "starts with https://"),
        (7, "starts with https://"),
        (None, "starts with https://"),
        ([], "starts with https://"),
        ("https://", "must have a lower-case host name"),
        ("https:///keys", "must have a lower-case host name"),
        ("https://user@keys.example.com", "must have no user name"),
        ("https://10.0.0.1/keys", "not an address"),
        ("https://10.0.0.1:6443/openid/v1/jwks", "not an address"),
        ("https://[fd00:ec2::254]/keys", "not an address"),
        ("https://keys.example.com:0/keys", "must have a port between 1 and 65535"),
        ("https://keys.example.com:65536/keys", "must have a port between 1 and 65535"),
        ("https://keys.example.com:x/keys", "must have a port between 1 and 65535"),
        ("https://keys.example.com:/keys", "must have a port between 1 and 65535"),
        ("https://keys example.com/keys", "must have a lower-case host name"),
        ("https://keys.example.com\r\n/keys", "must have a lower-case host name"),
    ],
)
def test_refuses_keys_in_odd_places(jwks_uri, fault):
    with pytest.raises(Failure) as failure:
        keys_endpoint(document(jwks_uri=jwks_uri), Issuer.from_url(EKS))
    assert fault in str(failure.value)


@pytest.mark.parametrize(
    "issuer",
    [None, "", EKS + "/", EKS.lower(), EKS.removeprefix("https://"), [EKS], {"a": 1}],
)
def test_the_documents_issuer_must_equal_ours(issuer):
    with pytest.raises(Failure, match="as its issuer, and does not"):
        keys_endpoint(document(issuer=issuer), Issuer.from_url(EKS))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 60_000, b'{"a":' * 9999, b"null", b'"s3cr3t"', b"7", b"NaN"],
)
def test_no_reason_holds_the_body(body):
    with pytest.raises(Failure) as failure:
        keys_endpoint(body, Issuer.from_url(EKS))
    assert "s3cr3t" not in str(failure.value)
    assert "must be" in str(failure.value)
