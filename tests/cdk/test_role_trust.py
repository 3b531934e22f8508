"""Seven facts of every trust policy, for issuers known and unknown at synth, by partition."""

import functools

import pytest
from aws_cdk import CfnParameter, aws_iam

from irsa_stack import (
    AwsNodeAddon,
    AwsNodeRebinding,
    EksOidcProvider,
    ImportedCluster,
    IrsaRole,
    ServiceAccounts,
)
from tests.support.templates import synthesise
from tests.support.trust_resolver import PLACES, Deployment


def _service_accounts(stack, oidc_provider):
    return ServiceAccounts(
        stack,
        "ServiceAccounts",
        cluster=ImportedCluster(
            name="payments-prod",
            endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
            certificate_authority_data="LS0tLS1CRUdJTi==",
            issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ),
        oidc_provider=oidc_provider,
    )


def _role(stack, oidc_provider):
    IrsaRole(stack, "Api", oidc_provider=oidc_provider, service_accounts=["apps/api"])


def _added(stack, oidc_provider):
    _service_accounts(stack, oidc_provider).add("apps/api")


def _rebound(stack, oidc_provider):
    AwsNodeRebinding(stack, "Cni", service_accounts=_service_accounts(stack, oidc_provider))


def _addon(stack, oidc_provider):
    AwsNodeAddon(stack, "Cni", service_accounts=_service_accounts(stack, oidc_provider))


MAKERS = {
    "IrsaRole": (_role, "apps:api"),
    "ServiceAccounts.add": (_added, "apps:api"),
    "AwsNodeRebinding": (_rebound, "kube-system:aws-node"),
    "AwsNodeAddon": (_addon, "kube-system:aws-node"),
}


def _issuer_url(stack, issuer):
    return (
        CfnParameter(stack, "IssuerUrl").value_as_string if issuer is None else f"https://{issuer}"
    )


# How a role comes by its provider: ours, ours imported, the CDK's imported.
PROVIDERS = {
    "defined": lambda stack, url: EksOidcProvider(stack, "OidcProvider", issuer_url=url),
    "imported": lambda stack, url: EksOidcProvider.from_issuer_url(stack, "OidcProvider", url),
    "native": lambda stack, url: aws_iam.OidcProviderNative(stack, "OidcProvider", url=url),
}


@functools.cache
def _template(maker, provider, issuer):
    make, _ = MAKERS[maker]
    return synthesise(lambda s: make(s, PROVIDERS[provider](s, _issuer_url(s, issuer))))


@pytest.fixture(params=PLACES, ids=lambda place: place.partition, scope="module")
def place(request):
    return request.param


@pytest.fixture(params=["literal issuer", "token issuer"], scope="module")
def is_literal(request):
    return request.param == "literal issuer"


CASES = [("IrsaRole", provider) for provider in PROVIDERS] + [
    (maker, "defined") for maker in MAKERS if maker != "IrsaRole"
]


@pytest.fixture(params=CASES, ids="-".join, scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def maker(case):
    return case[0]


@pytest.fixture(scope="module")
def document(case, is_literal, place):
    template = _template(*case, place.issuer if is_literal else None)
    parameters = {"IssuerUrl": f"https://{place.issuer}"}
    return Deployment({"Stack": template}, place, parameters).only_role()


@pytest.fixture(scope="module")
def statement(document):
    [statement] = document["Statement"]
    return statement


def test_principal_is_the_provider_of_this_cluster_and_nobody_else(statement, place):
    expected = f"arn:{place.partition}:iam::111122223333:oidc-provider/{place.issuer}"
    assert statement["Principal"] == {"Federated": expected}


def test_action_is_to_assume_with_a_web_identity_and_nothing_else(statement):
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"


def test_effect_is_allow(statement):
    assert statement["Effect"] == "Allow"


def test_audience_is_sts_in_every_partition(statement, place):
    assert statement["Condition"]["StringEquals"][f"{place.issuer}:aud"] == "sts.amazonaws.com"


def test_subject_is_the_one_service_account(statement, place, maker):
    subject = f"system:serviceaccount:{MAKERS[maker][1]}"
    assert statement["Condition"]["StringEquals"][f"{place.issuer}:sub"] == subject


def test_operator_is_string_equals_alone(statement):
    assert list(statement["Condition"]) == ["StringEquals"]


def test_holds_nothing_else(document, statement):
    assert set(document) == {"Version", "Statement"}
    assert document["Version"] == "2012-10-17"
    assert set(statement) == {"Effect", "Principal", "Action", "Condition"}
    assert len(statement["Condition"]["StringEquals"]) == 2


_EVERYBODY = '{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}'
INJECTIONS = {
    "Provider": (
        f'accounts.google.com"}},"Action":"sts:AssumeRoleWithWebIdentity"}},{_EVERYBODY},'
        '{"Effect":"Allow","Principal":{"Federated":"'
        "arn:aws:iam::111122223333:oidc-provider/oidc.example.com"
    ),
    "Audience": (
        f'x"}}}}}},{_EVERYBODY},{{"Effect":"Deny","Principal":"*","Action":"sts:X","Condition":'
        '{"StringEquals":{"a:aud":"x'
    ),
}


@pytest.mark.parametrize("given", INJECTIONS)
def test_whoever_gives_a_deploy_time_value_adds_no_statement(given):
    def define(stack):
        arn = CfnParameter(stack, "Provider").value_as_string
        audience = CfnParameter(stack, "Audience").value_as_string
        provider = aws_iam.OpenIdConnectProvider.from_open_id_connect_provider_arn(
            stack, "OidcProvider", arn
        )
        IrsaRole(
            stack,
            "Api",
            oidc_provider=provider,
            service_accounts=["apps/api"],
            audience=audience,
        )

    told = {
        "Provider": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com",
        "Audience": "sts.amazonaws.com",
    }
    deployment = Deployment(
        {"Stack": synthesise(define)}, parameters={**told, given: INJECTIONS[given]}
    )
    statements = deployment.only_role()["Statement"]
    assert len(statements) == 1
    assert set(statements[0]["Principal"]) == {"Federated"}
