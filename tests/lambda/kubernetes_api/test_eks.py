"""What is asked of EKS and STS: the token, and whether a cluster exists."""

from __future__ import annotations

import base64
import dataclasses
import urllib.parse
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from custom_resource import Failure
from kubernetes_api import cluster_existence
from kubernetes_api.cluster import Cluster
from kubernetes_api.cluster_existence import NoSuchCluster, confirm_endpoint, is_gone
from kubernetes_api.eks_token import eks_token

if TYPE_CHECKING:
    from collections.abc import Iterator

CLUSTER = Cluster("payments", "https://ABC.gr7.eu-west-1.eks.amazonaws.com", "")


@pytest.fixture(autouse=True)
def _somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def _url(region: str | None = None) -> urllib.parse.SplitResult:
    encoded = eks_token("payments", region).removeprefix("k8s-aws-v1.")
    assert "=" not in encoded
    decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    return urllib.parse.urlsplit(decoded)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        (None, "sts.eu-west-1.amazonaws.com"),
        ("us-east-1", "sts.us-east-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_token_is_signed_for_the_regional_sts(region: str | None, host: str) -> None:
    assert _url(region).netloc == host


def test_the_token_is_signed_for_one_cluster_and_a_minute() -> None:
    query = dict(urllib.parse.parse_qsl(_url().query))

    assert query["Action"] == "GetCallerIdentity"
    assert query["X-Amz-SignedHeaders"] == "host;x-k8s-aws-id"
    assert query["X-Amz-Expires"] == "60"
    assert query["X-Amz-Security-Token"] == "session"


@pytest.fixture
def eks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client("eks", region_name="eu-west-1")
    monkeypatch.setattr(cluster_existence.boto3, "client", lambda *_, **__: client)
    with Stubber(client) as stubber:
        yield stubber


@pytest.mark.parametrize(
    ("found", "gone"),
    [
        ({"status": "ACTIVE", "endpoint": CLUSTER.endpoint}, False),
        ({"status": "DELETING", "endpoint": CLUSTER.endpoint}, True),
        ({"status": "ACTIVE", "endpoint": "https://NEW.eks.amazonaws.com"}, True),
    ],
)
def test_a_cluster_is_gone_when_eks_says_so(
    eks: Stubber,
    found: dict[str, Any],
    gone: bool,  # noqa: FBT001
) -> None:
    eks.add_response("describe_cluster", {"cluster": found}, {"name": "payments"})

    assert is_gone(CLUSTER) is gone


@pytest.mark.parametrize(
    ("code", "gone"), [("ResourceNotFoundException", True), ("AccessDeniedException", False)]
)
def test_a_refusal_is_not_an_absence(
    eks: Stubber,
    code: str,
    gone: bool,  # noqa: FBT001
) -> None:
    eks.add_client_error("describe_cluster", code)

    assert is_gone(CLUSTER) is gone


def test_an_unreachable_eks_is_not_an_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://eks.eu-west-1.amazonaws.com")

    monkeypatch.setattr(cluster_existence.boto3, "client", unreachable)

    assert not is_gone(CLUSTER)


AUTHORITY = {"data": "Q0E="}


def known(**found: Any) -> dict[str, Any]:
    return {
        "cluster": {
            "status": "ACTIVE",
            "endpoint": CLUSTER.endpoint,
            "certificateAuthority": AUTHORITY,
            **found,
        }
    }


GIVEN = dataclasses.replace(CLUSTER, certificate_authority_data="Q0E=")


def test_the_endpoint_that_eks_names_is_confirmed(eks: Stubber) -> None:
    eks.add_response("describe_cluster", known())

    assert confirm_endpoint(GIVEN) == "ACTIVE"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"endpoint": "https://other.example.com"}, "Cluster.Endpoint must be the one that EKS"),
        ({"certificateAuthority": {"data": "b3RoZXI="}}, "Cluster.CertificateAuthorityData must"),
    ],
)
def test_another_endpoint_or_authority_is_refused(
    eks: Stubber, found: dict[str, Any], told: str
) -> None:
    eks.add_response("describe_cluster", known(**found))

    with pytest.raises(Failure, match=told):
        confirm_endpoint(GIVEN)


def test_a_name_that_eks_does_not_know_is_refused(eks: Stubber) -> None:
    eks.add_client_error("describe_cluster", "ResourceNotFoundException")

    with pytest.raises(NoSuchCluster, match="must name a cluster of this account and region"):
        confirm_endpoint(GIVEN)


def test_an_eks_that_cannot_be_asked_is_told_in_the_log(
    eks: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    eks.add_client_error("describe_cluster", "AccessDeniedException")

    assert confirm_endpoint(GIVEN) == ""
    assert "EKS did not confirm the endpoint" in capsys.readouterr().out
