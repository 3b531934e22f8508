import dataclasses

import pytest
from aws_cdk import App, Stack, Stage

from irsa_stack import ServiceAccountIdentity
from irsa_stack.cdk.account_claims import AccountClaims
from irsa_stack.cdk.cluster_connection import ClusterConnection
from tests.support.clusters import connection

API = ServiceAccountIdentity("apps", "api")
CLUSTER = ClusterConnection.of(connection())
ORDERS = ClusterConnection.of(dataclasses.replace(connection(), name="orders"))


@pytest.fixture
def claims():
    return AccountClaims.of(App(), CLUSTER)


def test_an_account_that_nobody_claimed_is_free(claims):
    assert claims.faults(API, "First") == []


def test_an_account_is_refused_to_a_second_claimant(claims):
    claims.take(API, "First")
    [fault] = claims.faults(API, "Second")
    assert "got 'apps/api' by Second beside First; remove one" in fault


def test_asking_claims_nothing(claims):
    claims.faults(API, "First")
    assert claims.faults(API, "Second") == []


def test_claims_are_those_of_one_cluster_in_one_assembly():
    app = App()
    one, other = Stack(app, "One"), Stack(app, "Other")
    claims = AccountClaims.of(one, CLUSTER)
    assert AccountClaims.of(other, CLUSTER) is claims
    assert AccountClaims.of(one, ORDERS) is not claims
    assert AccountClaims.of(Stack(Stage(app, "Stage"), "One"), CLUSTER) is not claims
