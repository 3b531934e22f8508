import pytest

from irsa_stack.eks.cluster_attributes import certificate_authority_faults, endpoint_faults

DEPLOY_TIME = "${Token[TOKEN.1]}"


@pytest.mark.parametrize(
    "endpoint",
    ["https://ID.gr7.eu-west-1.eks.amazonaws.com", "https://127.0.0.1:6443", DEPLOY_TIME],
)
def test_an_api_server_may_be_there(endpoint):
    assert list(endpoint_faults(endpoint)) == []


@pytest.mark.parametrize(
    "endpoint",
    ["", "ID.eks.amazonaws.com", "http://x", "https://x/", "https://x?y", "https://u@x", None],
)
def test_no_api_server_is_there(endpoint):
    [fault] = endpoint_faults(endpoint)
    assert f"got {endpoint!r}; copy it" in fault


@pytest.mark.parametrize("data", ["LS0tLS1CRUdJTg==", DEPLOY_TIME])
def test_a_certificate_may_look_so(data):
    assert list(certificate_authority_faults(data)) == []


@pytest.mark.parametrize(
    "data", ["", "-----BEGIN CERTIFICATE-----", "LS0t LS0t", "LS0tLS0t\n", None, b"LS0t"]
)
def test_no_certificate_looks_so(data):
    [fault] = certificate_authority_faults(data)
    assert fault.startswith("certificate_authority_data must be base64 of PEM")
