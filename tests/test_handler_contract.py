"""Where the halves meet: what the library synthesises, as the functions read it."""

import functools
import importlib
import json

import pytest
from aws_cdk import Duration, Stack, aws_iam

from irsa_stack import AwsNodeRebinding, Ownership, RootCaThumbprint
from tests.support.clusters import service_accounts
from tests.support.templates import app_with_flags, template_of
from tests.support.trust_resolver import Deployment

ISSUER_URL = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
THUMBPRINT = "06b25927c42a721631c1efd9431e648fa62e1e39"


@functools.cache
def synthesised():
    stack = Stack(app_with_flags(), "Stack")
    accounts = service_accounts(stack)
    accounts.add("apps/api")
    accounts.add(
        "batch/job",
        ownership=Ownership.ADOPT,
        force=True,
        restart=["deployment/job", "*"],
        labels={"app": "job"},
        token_expiration=Duration.hours(1),
        create_namespace=True,
    )
    AwsNodeRebinding(
        stack,
        "AwsNode",
        service_accounts=accounts,
        node_roles=[aws_iam.Role.from_role_name(stack, "Nodes", "payments-nodes")],
        rollout_timeout=Duration.minutes(2),
    )
    RootCaThumbprint(
        stack, "Thumbprint", issuer_url=ISSUER_URL, refresh="1", additional=[THUMBPRINT],
        allow_private=True, ca_bundle="-----BEGIN CERTIFICATE-----\n",
    )  # fmt: skip
    return Deployment({"Stack": template_of(stack)})


def sent(resource_type):
    """The properties as CloudFormation sends them: every scalar is a string."""
    [properties] = [
        synthesised().value("Stack", body["Properties"])
        for _, _, body in synthesised().resources(resource_type)
    ]

    def as_text(value):
        if isinstance(value, dict):
            return {key: as_text(item) for key, item in value.items()}
        if isinstance(value, list):
            return [as_text(item) for item in value]
        return json.dumps(value) if isinstance(value, bool) else str(value)

    return as_text(properties)


def request(resource_type):
    from custom_resource import Request

    return Request(
        type="Create",
        physical_id=None,
        properties=sent(resource_type),
        old_properties={},
        stack_id="stack",
        logical_id="Resource",
        request_id="1",
    )


@pytest.mark.parametrize(
    "resource_type",
    ["Custom::RootCaThumbprint", "Custom::ServiceAccounts", "Custom::AwsNodeRebinding"],
)
def test_every_scalar_is_text_already(resource_type):
    [body] = [body for _, _, body in synthesised().resources(resource_type)]
    assert sent(resource_type) == synthesised().value("Stack", body["Properties"])


@pytest.mark.parametrize("function", ["root_ca_thumbprint", "service_accounts", "aws_node"])
def test_the_handler_that_the_template_names_exists(function):
    handlers = {
        body["Properties"]["Handler"]
        for _, _, body in synthesised().resources("AWS::Lambda::Function")
    }
    [handler] = [name for name in handlers if name.startswith(f"{function}.")]
    module, _, name = handler.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


def test_the_binder_reads_the_cluster():
    from kubernetes_api.cluster import Cluster

    cluster = Cluster.from_properties(sent("Custom::ServiceAccounts"))
    assert (cluster.name, cluster.endpoint) == (
        "payments-prod",
        "https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
    )


def test_the_binder_reads_a_common_account():
    from service_accounts.bindings import bindings_of

    binding = bindings_of(sent("Custom::ServiceAccounts"))["apps/api"]
    assert (binding.namespace, binding.name, binding.ownership) == ("apps", "api", "CREATE")
    assert binding.role_arn.startswith("arn:aws:iam::111122223333:role/")
    assert binding.annotations["eks.amazonaws.com/sts-regional-endpoints"] == "true"
    assert binding.labels == {"app.kubernetes.io/managed-by": "irsa-stack"}


def test_the_binder_reads_everything_that_is_special_about_an_account():
    from service_accounts.bindings import bindings_of

    binding = bindings_of(sent("Custom::ServiceAccounts"))["batch/job"]
    assert binding.ownership == "ADOPT"
    assert binding.restart == ("deployment/job", "*")
    assert binding.labels == {"app": "job"}
    assert binding.annotations["eks.amazonaws.com/token-expiration"] == "3600"
    assert binding.force
    assert binding.create_namespace


def test_the_binders_id_names_cluster_and_resource():
    from service_accounts.on_event import physical_id

    assert physical_id(request("Custom::ServiceAccounts")) == "payments-prod/Resource"


def test_aws_nodes_function_reads_its_properties():
    from aws_node.rebinding import Rebinding

    rebinding = Rebinding.from_properties(sent("Custom::AwsNodeRebinding"))
    assert rebinding.role_arn.startswith("arn:aws:iam::111122223333:role/")
    assert rebinding.node_role_names == ("payments-nodes",)
    assert rebinding.policy_arns == ("arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",)
    assert rebinding.rollout_seconds == 120


def test_aws_nodes_id_is_the_clusters():
    from aws_node.on_event import physical_id

    assert physical_id(request("Custom::AwsNodeRebinding")) == "payments-prod/aws-node"


def test_the_thumbprint_function_reads_its_properties():
    from root_ca_thumbprint import on_event

    properties = sent("Custom::RootCaThumbprint")
    assert on_event._text(properties, "CaBundle") == "-----BEGIN CERTIFICATE-----\n"
    assert on_event._is_true(properties, "AllowPrivate") is True
    assert on_event._list(properties, "Additional") == [THUMBPRINT]


def test_the_thumbprint_functions_id_names_the_issuer():
    from root_ca_thumbprint.on_event import physical_id

    found = physical_id(request("Custom::RootCaThumbprint"))
    assert found == f"irsa-thumbprint/{ISSUER_URL.removeprefix('https://')}"
