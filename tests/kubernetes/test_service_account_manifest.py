import pytest

from irsa_stack.kubernetes.service_account_manifest import (
    metadata_faults,
    token_expiration_faults,
    webhook_annotations,
)

ROLE_ARN = "arn:aws:iam::111122223333:role/api"
TOKEN = "${Token[TOKEN.12]}"


def faults(*, labels=None, annotations=None):
    return list(metadata_faults(labels=labels or {}, annotations=annotations or {}))


def test_annotations_name_the_role_and_the_regional_endpoint():
    assert webhook_annotations(
        role_arn=ROLE_ARN, audience=None, regional_sts=True, token_expiration=None
    ) == {
        "eks.amazonaws.com/role-arn": ROLE_ARN,
        "eks.amazonaws.com/sts-regional-endpoints": "true",
    }


def test_annotations_hold_what_differs_from_the_webhooks_defaults():
    annotations = webhook_annotations(
        role_arn=ROLE_ARN, audience="vault", regional_sts=False, token_expiration=3600.0
    )
    assert annotations == {
        "eks.amazonaws.com/role-arn": ROLE_ARN,
        "eks.amazonaws.com/audience": "vault",
        "eks.amazonaws.com/sts-regional-endpoints": "false",
        "eks.amazonaws.com/token-expiration": "3600",
    }


@pytest.mark.parametrize("seconds", [None, 600, 86_400])
def test_accepts_a_life_time_that_the_webhook_takes(seconds):
    assert not list(token_expiration_faults(seconds))


@pytest.mark.parametrize("seconds", [0, 599, 86_401])
def test_refuses_a_life_time_that_the_webhook_would_change_silently(seconds):
    [fault] = token_expiration_faults(seconds)
    assert fault.startswith("token_expiration must be 600-86400 seconds")


@pytest.mark.parametrize(
    "key", ["a", "A-b_c.d", "a" * 63, "example.com/a", "a/b", "a" * 63 + ".example/b"]
)
def test_accepts_a_key_that_kubernetes_accepts(key):
    assert not faults(labels={key: "x"}, annotations={key: "x"})


@pytest.mark.parametrize(
    "key",
    ["", "-a", "a-", "a" * 64, "/a", "a/", "Example.com/a", "a/b/c", "a b", "a\n", "é",
     "a." * 127 + "/b"],
)  # fmt: skip
def test_refuses_a_key_that_kubernetes_refuses(key):
    [fault] = faults(labels={key: "x"})
    assert fault.startswith("labels must have keys such as 'example.com/name'")
    [fault] = faults(annotations={key: "x"})
    assert fault.startswith("annotations must have keys such as 'example.com/name'")


@pytest.mark.parametrize("value", ["", "a", "A-b_c.d", "a" * 63, TOKEN])
def test_accepts_a_label_value_that_kubernetes_accepts(value):
    assert not faults(labels={"app": value})


@pytest.mark.parametrize("value", ["a" * 64, "-a", "a b", "a\n", "a/b", 1, True, None])
def test_refuses_a_label_value_that_kubernetes_refuses(value):
    [fault] = faults(labels={"app": value})
    assert fault.startswith("labels must have values of at most 63 letters")


@pytest.mark.parametrize(
    "key",
    [
        "eks.amazonaws.com/role-arn",
        "eks.amazonaws.com/audience",
        "eks.amazonaws.com/sts-regional-endpoints",
        "eks.amazonaws.com/token-expiration",
        "irsa-stack/owner",
    ],
)
def test_refuses_an_annotation_that_is_ours(key):
    [fault] = faults(annotations={key: "x"})
    assert fault == f"annotations must not hold {key!r}, got 'x'; it is ours"


@pytest.mark.parametrize("value", [1, True, None, {"a": "b"}])
def test_refuses_an_annotation_that_is_no_text(value):
    [fault] = faults(annotations={"note": value})
    assert fault.endswith("put it in quotes")


def test_refuses_more_annotations_than_an_object_holds():
    assert not faults(annotations={"note": "x" * 262_000})
    [fault] = faults(annotations={"note": "x" * 262_144})
    assert fault.startswith("annotations must be at most 262144 bytes")
