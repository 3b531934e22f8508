"""Whether one policy allows all that another does, held against an evaluator of its own."""

import itertools
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irsa_stack.iam.policy_sets import excess, managed_policy, policy_of
from tests.support.iam_evaluator import allowed

EXAMPLES = int(os.environ.get("IRSA_GENERATED_PAIRS", "200"))
many = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*", **rest):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **rest}


def deny(action, resource="*", **rest):
    return allow(action, resource, **rest) | {"Effect": "Deny"}


def when(operator, key, *values):
    return {"Condition": {operator: {key: list(values)}}}


def verdict(old, new):
    """Return whether *new* is surely no more, and surely no less, than *old*."""
    gained = excess(policy_of(new), policy_of(old))
    lost = excess(policy_of(old), policy_of(new))
    words = {(False, False): "same", (True, False): "widened", (False, True): "narrowed"}
    if any(one.pieces and not one.is_certain for one in (gained, lost)):
        return "unknown"
    return words.get((bool(gained.pieces), bool(lost.pieces)), "incomparable")


IN_BUCKET = "arn:aws:s3:::bucket/*"
FROM_OFFICE = when("IpAddress", "aws:SourceIp", "10.0.0.0/8")
VALUE = "aws:RequestTag/team"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([allow("s3:Get*")], [allow(["s3:GET*"])], "same"),
        ([allow("s3:GetObject")], [allow("s3:Get*")], "widened"),
        ([allow("s3:*")], [allow("s3:*", IN_BUCKET)], "narrowed"),
        ([allow("s3:GetObject")], [allow("s3:PutObject")], "incomparable"),
        ([allow(["s3:a", "s3:b"])], [allow("s3:b"), allow("s3:a", Sid="A")], "same"),
        ([allow("s3:*")], [allow("s3:*"), deny("s3:Delete*")], "narrowed"),
        ([allow("s3:*"), deny("s3:Delete*")], [allow("s3:*")], "widened"),
        (
            [allow("*"), deny("iam:*")],
            [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
            "same",
        ),
        ([allow("s3:*")], [allow("s3:*", **when("StringEquals", VALUE, "a"))], "narrowed"),
        (
            [allow("s3:*", **when("StringEquals", VALUE, "a"))],
            [allow("s3:*", **when("StringLike", VALUE, "a*"))],
            "widened",
        ),
        (
            [allow("s3:*", **when("StringEquals", VALUE, "a", "b"))],
            [
                allow("s3:*", **when("StringEquals", VALUE, "b")),
                allow("s3:*", **when("StringEquals", VALUE, "a")),
            ],
            "same",
        ),
        (
            [allow("s3:*", **when("StringEquals", VALUE, "a"))],
            [allow("s3:*", **when("StringEqualsIfExists", VALUE, "a"))],
            "widened",
        ),
        (
            [allow("s3:*", **when("StringNotEquals", VALUE, "a"))],
            [allow("s3:*"), deny("s3:*", **when("StringEquals", VALUE, "a"))],
            "same",
        ),
        (
            [allow("s3:*", **when("StringLike", VALUE, "*"))],
            [allow("s3:*", **when("Null", VALUE, "false"))],
            "same",
        ),
        (
            [allow("s3:*", **when("ArnLike", "aws:SourceArn", "arn:aws:*:*:1:x"))],
            [allow("s3:*", **when("StringLike", "aws:SourceArn", "arn:aws:*:*:1:x"))],
            "widened",
        ),
        ([allow("s3:*", **FROM_OFFICE)], [allow("s3:*")], "widened"),
        ([allow("s3:*")], [allow("s3:*", **FROM_OFFICE)], "narrowed"),
        (
            [allow("s3:*", **FROM_OFFICE)],
            [allow("s3:*", **when("IpAddress", "aws:SourceIp", "10.1.0.0/16"))],
            "unknown",
        ),
        (
            [allow("s3:*", "arn:aws:s3:::${aws:username}/*")],
            [allow("s3:*", "arn:aws:s3:::*")],
            "widened",
        ),
        (
            [allow("s3:*", "arn:aws:s3:::${aws:username}/*")],
            [allow("s3:*", "arn:aws:s3:::${aws:username}/a")],
            "narrowed",
        ),
        (
            [{"Effect": "Allow", "Action": "s3:*", "NotResource": "bob"}],
            [allow("s3:*", "${aws:username}")],
            "unknown",
        ),
    ],
)
def test_policies_compare_as_sets_of_requests(old, new, expected):
    assert verdict(document(*old), document(*new)) == expected


def test_a_managed_policy_that_is_not_known_adds_something():
    added = managed_policy("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    has = policy_of(document(allow("s3:*")))
    assert excess(has + added, has).is_certain
    assert not excess(has, has + added).pieces


def test_everything_holds_a_managed_policy_too():
    added = managed_policy("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert not excess(added, policy_of(document(allow("*")))).pieces


def test_a_boundary_grants_nothing_and_limits_everything():
    has = policy_of(document(allow("s3:*")))
    boundary = policy_of(document(allow("s3:Get*"), deny("s3:GetBucketAcl")))
    assert excess(has, has.within(boundary)).is_certain
    assert not excess(has.within(boundary), policy_of(document(allow("s3:Get*")))).pieces
    assert not has.within(boundary).is_nothing
    assert policy_of(document(allow("iam:*"))).within(boundary).is_nothing


TEXTS = st.text("ab*?", max_size=3)
ACTIONS = st.sampled_from(["s:a", "s:b", "S:*", "*", "s:?"])
KEYS = st.sampled_from(["aws:k", "aws:K", "aws:l"])
OPERATORS = st.sampled_from(
    [
        "StringEquals",
        "StringLike",
        "StringNotEquals",
        "StringNotLike",
        "StringEqualsIfExists",
        "StringLikeIfExists",
        "StringNotLikeIfExists",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "ForAnyValue:StringLike",
        "ForAllValues:StringEquals",
        "Bool",
        "NumericLessThan",
    ]
)
VALUES = st.lists(
    st.one_of(TEXTS, st.sampled_from(["${aws:l}", "A", "true", "1", "2"])), min_size=1, max_size=2
)
TESTS = st.one_of(
    st.tuples(OPERATORS, KEYS, VALUES),
    st.tuples(st.just("Null"), KEYS, st.sampled_from([["true"], ["false"]])),
    st.tuples(
        st.just("ArnLike"),
        KEYS,
        st.sampled_from([["a:b:c:d:e:*"], ["a:*:c:d:e:f"], ["*:*:*:*:*:*"]]),
    ),
)


@st.composite
def conditions(draw):
    found = {}
    for operator, key, values in draw(st.lists(TESTS, max_size=2)):
        found.setdefault(operator, {})[key] = values
    return found


@st.composite
def statements(draw):
    found = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"]))}
    found[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(
        st.lists(ACTIONS, min_size=1, max_size=2)
    )
    found[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(
        st.lists(TEXTS, min_size=1, max_size=2)
    )
    found["Condition"] = draw(conditions())
    return found


DOCUMENTS = st.builds(lambda some: document(*some), st.lists(statements(), min_size=1, max_size=3))
SAMPLES = st.tuples(
    st.sampled_from(["s:a", "s:b", "t:c"]),
    st.text("abz", max_size=4),
    st.dictionaries(
        st.sampled_from(["aws:k", "aws:l"]),
        st.one_of(
            st.text("abAz", max_size=3),
            st.sampled_from(["true", "1", "0", "a:b:c:d:e:f", "a:b:c:d:e:g", "a:b:c:c:d:e:f"]),
        ),
    ),
)


@st.composite
def near(draw):
    """Pairs that are alike, as changes are: one statement dropped, doubled or changed."""
    old = draw(DOCUMENTS)
    kept = [one for one in old["Statement"] if draw(st.booleans())]
    return old, document(*kept, *draw(st.lists(statements(), max_size=1)))


PAIRS = st.one_of(near(), near().map(lambda pair: pair[::-1]), st.tuples(DOCUMENTS, DOCUMENTS))


@many
@given(pair=PAIRS, requests=st.lists(SAMPLES, min_size=10, max_size=30))
def test_no_request_is_new_where_nothing_more_is_said_to_be_allowed(pair, requests):
    old, new = pair
    if excess(policy_of(new), policy_of(old)).pieces:
        return
    for action, resource, context in requests:
        assert not (
            allowed([new], action, resource, context=context)
            and not allowed([old], action, resource, context=context)
        )


PLAIN_TESTS = st.tuples(
    st.sampled_from(["StringEquals", "StringLike", "StringNotLike", "StringEqualsIfExists"]),
    st.just("aws:k"),
    st.lists(st.sampled_from(["a", "*", "?", "a*"]), min_size=1, max_size=2),
)


@st.composite
def plain_statements(draw):
    found = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])), "Action": "s:a"}
    found[draw(st.sampled_from(["Resource", "NotResource"]))] = draw(
        st.lists(st.text("a*?", max_size=2), min_size=1, max_size=2)
    )
    operator, key, values = draw(PLAIN_TESTS)
    found["Condition"] = draw(st.sampled_from([{}, {operator: {key: values}}]))
    return found


PLAIN = st.builds(
    lambda some: document(*some), st.lists(plain_statements(), min_size=1, max_size=3)
)
WORDS = ["".join(word) for length in range(4) for word in itertools.product("az", repeat=length)]
VALUES_OF_KEYS = [*WORDS, "*", "?", "a*"]


@many
@given(old=PLAIN, new=PLAIN)
def test_widened_is_never_said_of_sets_that_are_equal(old, new):
    found = excess(policy_of(new), policy_of(old))
    if not (found.pieces and found.is_certain):
        return
    assert any(
        allowed([new], "s:a", word, context=context)
        and not allowed([old], "s:a", word, context=context)
        for word in WORDS
        for context in ({}, *({"aws:k": value} for value in VALUES_OF_KEYS))
    )
