"""The `Cluster` property."""

from __future__ import annotations

import base64

import pytest

from custom_resource import Failure
from kubernetes_api.cluster import Cluster


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, r"Cluster\.Name, Cluster\.Endpoint, Cluster\.CertificateAuthorityData must be given"),
        ({"Name": "c", "Endpoint": "http://x", "CertificateAuthorityData": "x"}, "https://"),
        (
            {"Name": "c", "Endpoint": "https://x", "CertificateAuthorityData": "x"},
            "CertificateAuthorityData must be base64 of PEM",
        ),
    ],
)
def test_refuses_a_malformed_cluster(given: dict[str, str], told: str) -> None:
    with pytest.raises(Failure, match=told):
        Cluster.from_properties({"Cluster": given})


def test_takes_a_sound_cluster() -> None:
    pem = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()
    given = {"Name": "c", "Endpoint": "https://x", "CertificateAuthorityData": pem}

    assert Cluster.from_properties({"Cluster": given}) == Cluster("c", "https://x", pem)
