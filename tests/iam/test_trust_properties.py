"""Any legal identities in, exactly those subjects and nobody else allowed; any illegal refused."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irsa_stack.faults import InvalidInput
from irsa_stack.iam.trust import trust_policy
from irsa_stack.kubernetes.identity import ServiceAccountIdentity
from tests.support.iam_evaluator import may_assume

ISSUERS = st.sampled_from(
    [
        "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
        "oidc.eks.cn-north-1.amazonaws.com.cn/id/FEDCBA98765432100123456789ABCDEF",
        "issuer.example.com",
    ]
)
PARTITIONS = st.sampled_from(["aws", "aws-cn", "aws-us-gov", "aws-iso"])
# A small alphabet too, so that names collide, share prefixes and differ by one letter.
labels = st.one_of(
    st.text("ab0-", max_size=6), st.text("abcdefghijklmnopqrstuvwxyz0123456789-", max_size=63)
).map(lambda text: text.strip("-") or "a")
names = st.lists(labels, min_size=1, max_size=3).map(".".join)
accounts = st.builds(ServiceAccountIdentity, labels, names)
# Words that name no rule: a fault must say which of these the input breaks.
ILLEGAL = {
    "no upper case": (st.from_regex(r"[a-z]{0,3}[A-Z][a-z]{0,3}", fullmatch=True)),
    "no underscore": st.from_regex(r"[a-z]{1,3}_[a-z]{1,3}", fullmatch=True),
    "no colon": st.from_regex(r"[a-z]{1,3}:[a-z]{1,3}", fullmatch=True),
    "no leading dash": labels.map(lambda label: f"-{label}"),
    "no trailing dash": labels.map(lambda label: f"{label}-"),
    "no trailing newline": labels.map(lambda label: f"{label}\n"),
    "no white space": labels.map(lambda label: f" {label}"),
    "not empty": st.just(""),
    "no letters of other alphabets": st.text("äßéабв", min_size=1, max_size=3),
}


def provider(partition, issuer):
    return f"arn:{partition}:iam::111122223333:oidc-provider/{issuer}"


def allowed(policy, provider_arn, account, audience="sts.amazonaws.com"):
    subject = f"system:serviceaccount:{account.namespace}:{account.name}"
    return may_assume(policy, provider_arn=provider_arn, claims={"sub": subject, "aud": audience})


@settings(max_examples=200)
@given(
    trusted=st.lists(accounts, min_size=1, max_size=6, unique=True),
    others=st.lists(accounts, max_size=6),
    issuer=ISSUERS,
    partition=PARTITIONS,
)
def test_allows_exactly_the_accounts_that_are_named(trusted, others, issuer, partition):
    arn = provider(partition, issuer)
    policy = trust_policy(provider_arn=arn, issuer=issuer, service_accounts=trusted)
    for account in [*trusted, *others]:
        assert allowed(policy, arn, account) is (account in trusted)


@settings(max_examples=200)
@given(trusted=accounts, issuer=ISSUERS, data=st.data())
def test_refuses_every_near_miss_of_a_trusted_account(trusted, issuer, data):
    arn = provider("aws", issuer)
    policy = trust_policy(provider_arn=arn, issuer=issuer, service_accounts=[trusted])
    subject = f"system:serviceaccount:{trusted.namespace}:{trusted.name}"
    at = data.draw(st.integers(0, len(subject) - 1))
    letter = data.draw(st.sampled_from("abz019-.:*?/ A"))
    for near in {
        subject[:at] + letter + subject[at + 1 :],
        subject[:at] + letter + subject[at:],
        subject[:at] + subject[at + 1 :],
        subject.upper(),
        subject + "\n",
    } - {subject}:
        claims = {"sub": near, "aud": "sts.amazonaws.com"}
        assert not may_assume(policy, provider_arn=arn, claims=claims), near


@settings(max_examples=200)
@given(trusted=accounts, issuer=ISSUERS, audience=st.text(max_size=20))
def test_refuses_tokens_for_another_audience(trusted, issuer, audience):
    arn = provider("aws", issuer)
    policy = trust_policy(provider_arn=arn, issuer=issuer, service_accounts=[trusted])
    assert allowed(policy, arn, trusted, audience) is (audience == "sts.amazonaws.com")


@pytest.mark.parametrize(
    "claims", [{}, {"sub": "system:serviceaccount:a:b"}, {"aud": "sts.amazonaws.com"}]
)
def test_refuses_tokens_that_lack_a_claim(claims):
    arn = provider("aws", "issuer.example.com")
    policy = trust_policy(provider_arn=arn, issuer="issuer.example.com", service_accounts=["a/b"])
    assert not may_assume(policy, provider_arn=arn, claims=claims)


@settings(max_examples=200)
@given(trusted=accounts)
def test_refuses_the_same_account_of_another_cluster(trusted):
    policy = trust_policy(
        provider_arn=provider("aws", "one.example.com"),
        issuer="one.example.com",
        service_accounts=[trusted],
    )
    assert not allowed(policy, provider("aws", "two.example.com"), trusted)


@settings(max_examples=200)
@given(
    exact=st.lists(accounts, max_size=3, unique=True),
    patterns=st.lists(
        st.tuples(labels, st.from_regex(r"[ab0]{0,2}[*?][ab0*?]{0,2}", fullmatch=True)),
        min_size=1,
        max_size=3,
        unique=True,
    ),
    candidates=st.lists(accounts, min_size=1, max_size=8),
)
def test_patterns_add_the_accounts_that_they_match_and_no_others(exact, patterns, candidates):
    arn = provider("aws", "issuer.example.com")
    policy = trust_policy(
        provider_arn=arn,
        issuer="issuer.example.com",
        service_accounts=exact,
        subject_patterns=[f"{namespace}/{name}" for namespace, name in patterns],
    )
    rules = [
        (namespace, re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", ".")))
        for namespace, name in patterns
    ]
    # Candidates of the patterns' own namespaces, or hardly any would ever match.
    candidates += [
        ServiceAccountIdentity(namespace, account.name)
        for namespace, _ in patterns
        for account in candidates
    ]
    for account in [*exact, *candidates]:
        matched = any(
            namespace == account.namespace and rule.fullmatch(account.name)
            for namespace, rule in rules
        )
        assert allowed(policy, arn, account) is (account in exact or matched)


@settings(max_examples=400)
@given(
    rule=st.sampled_from(sorted(ILLEGAL)), of=st.sampled_from(["namespace", "name"]), data=st.data()
)
def test_refuses_any_illegal_identity_and_names_the_rule(rule, of, data):
    bad = data.draw(ILLEGAL[rule])
    parts = {"namespace": "apps", "name": "api"} | {of: bad}
    with pytest.raises(InvalidInput) as caught:
        ServiceAccountIdentity(**parts)
    [fault] = caught.value.faults
    assert fault.startswith(
        "namespace must be 1-63 characters"
        if of == "namespace"
        else "service account name must be 1-253 characters"
    )
    assert repr(bad) in fault


@settings(max_examples=200)
@given(text=st.text(max_size=12), of=st.sampled_from(["namespace", "name"]))
def test_accepts_nothing_that_kubernetes_would_not(text, of):
    label = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
    legal = rf"{label}" if of == "namespace" else rf"{label}(?:\.{label})*"
    parts = {"namespace": "apps", "name": "api"} | {of: text}
    if re.fullmatch(legal, text):
        ServiceAccountIdentity(**parts)
    else:
        with pytest.raises(InvalidInput):
            ServiceAccountIdentity(**parts)
