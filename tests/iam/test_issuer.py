import pytest

from irsa_stack.faults import InvalidInput
from irsa_stack.iam.issuer import (
    LONGEST_EKS_ISSUER,
    issuer_faults,
    issuer_from_url,
    issuer_url_faults,
)

HEX = "0123456789ABCDEF0123456789ABCDEF"
TOKEN = "${Token[TOKEN.12]}"


@pytest.mark.parametrize(
    "issuer",
    [
        f"oidc.eks.eu-west-1.amazonaws.com/id/{HEX}",
        f"oidc.eks.cn-north-1.amazonaws.com.cn/id/{HEX}",
        f"oidc.eks.us-gov-west-1.amazonaws.com/id/{HEX}",
        f"oidc-eks.eu-west-1.api.aws/id/{HEX}",
        f"oidc.eks.us-iso-east-1.c2s.ic.gov/id/{HEX}",
        "issuer.example.com",
        "s3.eu-west-1.amazonaws.com/bucket/cluster",
        "xn--bcher-kva.example/id/1",
    ],
)
def test_issuer_is_the_url_without_its_scheme(issuer):
    assert issuer_from_url(f"https://{issuer}") == issuer


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://oidc.example.com/id/1", "issuer_url must start with https://"),
        ("oidc.example.com/id/1", "issuer_url must start with https://"),
        ("", "issuer_url must start with https://"),
        ("HTTPS://oidc.example.com/id/1", "issuer_url must start with https://"),
        ("https://oidc.example.com/id/1/", "issuer_url must have no trailing slash"),
        ("https://oidc.example.com/", "issuer_url must have no trailing slash"),
        ("https://oidc.example.com/id/1?x=1", "issuer_url must have no query or fragment"),
        ("https://oidc.example.com/id/1#x", "issuer_url must have no query or fragment"),
        ("https://oidc.example.com:8443/id/1", "issuer_url must have no port"),
        ("https://oidc.example.com:443/id/1", "issuer_url must have no port"),
        ("https://user@oidc.example.com/id/1", "issuer_url must have no user name"),
        ("https://user:secret@oidc.example.com/id", "issuer_url must have no user name"),
        ("https://10.0.0.1/id/1", "issuer_url must have a host name, got"),
        ("https://[fd00:ec2::254]/id/1", "issuer_url must have a host name, got"),
        ("https://[::1]:443/id/1", "issuer_url must have a host name, got"),
        ("https://oidc.EXAMPLE.com/id/1", "issuer_url must have a lower-case host name"),
        ("https://localhost/id/1", "issuer_url must have a lower-case host name"),
        ("https://oidc.example.com/id/1\n", "issuer_url must have a plain path"),
        ("https://oidc.example.com\n", "issuer_url must have a lower-case host name"),
        ("https://oidc.example.com/id 1", "issuer_url must have a plain path"),
        ("https://oidc.example.com//id", "issuer_url must have a plain path"),
        ("https://bücher.example/id", "issuer_url must have a lower-case host name"),
        ("https://oidc.example.com/" + "a" * 231, "issuer_url must be at most 255 characters"),
        ("https://https://oidc.example.com/id/1", "issuer_url must have no scheme"),
    ],
)
def test_refuses_a_url_that_iam_or_tokens_would_not_match(url, rule):
    [fault] = issuer_url_faults(url)
    assert fault.startswith(rule)


def test_accepts_a_url_of_255_characters():
    assert not list(issuer_url_faults("https://oidc.example.com/" + "a" * 230))


def test_raises_all_faults_of_a_url():
    with pytest.raises(InvalidInput) as caught:
        issuer_from_url("https://oidc.example.com:8443/id/1/")
    assert [fault[:29] for fault in caught.value.faults] == [
        "issuer_url must have no trail",
        "issuer_url must have no port,",
    ]


def test_never_prints_half_a_url_as_if_it_were_right():
    [fault] = issuer_url_faults("http://oidc.example.com/id/1")
    assert fault == (
        "issuer_url must start with https://, got 'http://oidc.example.com/id/1';"
        " pass the cluster's OpenID Connect provider URL"
    )


@pytest.mark.parametrize("faults", [issuer_faults, issuer_url_faults])
def test_a_deploy_time_value_has_no_faults_yet(faults):
    assert not list(faults(TOKEN))


@pytest.mark.parametrize(
    "url",
    [
        f"https://oidc.eks.{TOKEN}.amazonaws.com/id/{HEX}",
        f"https://oidc.example.com/id/{TOKEN}",
        f"https://{TOKEN}/id/{HEX}",
        f"https://{TOKEN}",
        f"{TOKEN}/id/{HEX}",
    ],
)
def test_accepts_a_url_that_is_known_at_deploy_in_part(url):
    assert not list(issuer_url_faults(url))
    assert not list(issuer_faults(url.removeprefix("https://")))


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        (f"http://{TOKEN}.example.com/id/1", "issuer_url must start with https://"),
        (f"oidc.{TOKEN}.example.com/id/1", "issuer_url must start with https://"),
        (f"https://{TOKEN}.example.com:443/id/1", "issuer_url must have no port"),
        (f"https://{TOKEN}.example.com/id/1/", "issuer_url must have no trailing slash"),
        (f"https://{TOKEN}/", "issuer_url must have no trailing slash"),
        (f"{TOKEN}/", "issuer_url must have no trailing slash"),
        (f"https://{TOKEN}.example.com/id?x=1", "issuer_url must have no query or fragment"),
        (f"https://{TOKEN}.EXAMPLE.com/id", "issuer_url must have a lower-case host name"),
        (f"https://{TOKEN}.example.com/" + "a" * 255, "issuer_url must be at most 255 characters"),
    ],
)
def test_checks_the_literal_parts_of_a_url_that_is_known_at_deploy_in_part(url, rule):
    [fault] = issuer_url_faults(url)
    assert fault.startswith(rule)


@pytest.mark.parametrize("value", [None, 123, ["https://oidc.example.com"]])
def test_takes_nothing_but_text_for_an_issuer(value):
    [fault] = issuer_url_faults(value)
    assert fault.startswith(f"issuer_url must start with https://, got {value!r};")
    assert next(issuer_faults(value)).startswith("issuer must have a lower-case host name")


def test_refuses_a_scheme_in_the_prefix_of_condition_keys():
    [fault] = issuer_faults("https://oidc.example.com/id/1")
    assert fault == (
        "issuer must have no scheme, got 'https://oidc.example.com/id/1';"
        " condition keys start with the host name"
    )


@pytest.mark.parametrize(
    "issuer",
    [
        f"oidc.eks.ap-southeast-3.amazonaws.com/id/{HEX}",
        f"oidc.eks.cn-northwest-1.amazonaws.com.cn/id/{HEX}",
        f"oidc.eks.us-isob-east-1.sc2s.sgov.gov/id/{HEX}",
        f"oidc-eks.cn-northwest-1.api.amazonwebservices.com.cn/id/{HEX}",
    ],
)
def test_no_issuer_of_eks_is_longer_than_the_longest(issuer):
    assert len(issuer) <= LONGEST_EKS_ISSUER
