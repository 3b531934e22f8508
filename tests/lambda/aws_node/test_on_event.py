"""The aws-node custom resource: which events need Kubernetes at all."""

import pytest

from aws_node.on_event import _previous, physical_id, unfinished_id, work
from custom_resource import Answer, Deadline, Failure, Request

CLUSTER = {
    "Name": "orders-prod",
    "Endpoint": "https://127.0.0.1:1",
    "CertificateAuthorityData": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==",
}


def request(kind, properties, *, physical=None, old=None):
    return Request(
        type=kind,
        physical_id=physical,
        properties=properties,
        old_properties=old or {},
        stack_id="arn:aws:cloudformation:eu-west-1:111122223333:stack/orders/1",
        logical_id="AwsNode",
        request_id="1",
    )


def test_the_id_names_the_cluster():
    assert physical_id(request("Create", {"Cluster": CLUSTER})) == "orders-prod/aws-node"


def test_a_failed_creation_is_known_by_its_id():
    asked = request("Create", {"Cluster": CLUSTER})
    assert unfinished_id(asked) == "orders-prod/aws-node/unfinished"


def test_deleting_what_can_never_have_been_bound_is_success():
    asked = request("Delete", {"Cluster": {}}, physical="orders-prod/aws-node/unfinished")
    assert work(asked, Deadline(1)) == Answer("orders-prod/aws-node/unfinished")


def test_creating_without_a_cluster_is_refused():
    with pytest.raises(Failure, match="Cluster"):
        work(request("Create", {}), Deadline(1))


@pytest.mark.parametrize(
    ("kind", "physical", "old"),
    [
        ("Create", None, {}),
        ("Update", "another/aws-node", {"Cluster": CLUSTER, "RoleArn": "arn"}),
        ("Update", "orders-prod/aws-node", {}),
    ],
)
def test_nothing_was_bound_before(kind, physical, old):
    assert _previous(request(kind, {"Cluster": CLUSTER}, physical=physical, old=old)) is None
