import gc

from irsa_stack import ServiceAccountIdentity
from irsa_stack.kubernetes.account_claims import AccountClaims

API = ServiceAccountIdentity("apps", "api")


class Assembly:
    """What is synthesised together."""


def test_an_account_that_nobody_claimed_is_free():
    assert AccountClaims().faults(API, "First") == []


def test_an_account_is_refused_to_a_second_claimant():
    claims = AccountClaims()
    claims.take(API, "First")
    [fault] = claims.faults(API, "Second")
    assert "got 'apps/api' by Second beside First; remove one" in fault


def test_asking_claims_nothing():
    claims = AccountClaims()
    claims.faults(API, "First")
    assert claims.faults(API, "Second") == []


def test_claims_are_those_of_one_cluster_in_one_assembly():
    one, other = Assembly(), Assembly()
    claims = AccountClaims.of(one, "payments")
    assert AccountClaims.of(one, "payments") is claims
    assert AccountClaims.of(one, "orders") is not claims
    assert AccountClaims.of(other, "payments") is not claims


def test_claims_go_with_their_assembly():
    assembly = Assembly()
    AccountClaims.of(assembly, "payments").take(API, "First")
    del assembly
    gc.collect()
    later = Assembly()
    assert AccountClaims.of(later, "payments").faults(API, "Second") == []
