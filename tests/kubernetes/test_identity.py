import pytest

from irsa_stack.faults import InvalidInput
from irsa_stack.kubernetes.identity import ServiceAccountIdentity

LABEL_RULE = "namespace must be 1-63 characters of a-z, 0-9 and '-'"
NAME_RULE = "service account name must be 1-253 characters of a-z, 0-9, '-' and '.'"


def faults_of(namespace, name):
    with pytest.raises(InvalidInput) as caught:
        ServiceAccountIdentity(namespace, name)
    return caught.value.faults


@pytest.mark.parametrize("namespace", ["a", "0", "kube-system", "a--b", "1a", "a" * 63, "default"])
def test_accepts_a_namespace_that_kubernetes_accepts(namespace):
    assert ServiceAccountIdentity(namespace, "api").namespace == namespace


@pytest.mark.parametrize(
    "namespace",
    ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "a\n", "\na", " a", "é", "a/b", "a:b"],
)
def test_refuses_a_namespace_that_kubernetes_refuses(namespace):
    [fault] = faults_of(namespace, "api")
    assert fault.startswith(LABEL_RULE)
    assert repr(namespace) in fault


@pytest.mark.parametrize(
    "name",
    ["a", "0", "a.b", "a-b.c-d", "a" * 63, "a" * 64, "a" * 253, "x" * 63 + "." + "y" * 189],
)
def test_accepts_a_name_that_kubernetes_accepts(name):
    assert ServiceAccountIdentity("apps", name).name == name


@pytest.mark.parametrize(
    "name",
    ["", "a..b", ".a", "a.", "a.-b", "a-.b", "-", "A", "a" * 254, "api\n", "a b", "ü", "a/b"],
)
def test_refuses_a_name_that_kubernetes_refuses(name):
    [fault] = faults_of("apps", name)
    assert fault.startswith(NAME_RULE)
    assert repr(name) in fault


@pytest.mark.parametrize("namespace", ["*", "team-*", "a?", "*-prod"])
def test_refuses_a_wildcard_namespace(namespace):
    [fault] = faults_of(namespace, "api")
    assert fault == (
        f"namespace must be one exact name, got {namespace!r}; whoever may create such a namespace"
        " could assume the role, so list the namespaces"
    )


@pytest.mark.parametrize("name", ["*", "api-*", "ap?"])
def test_refuses_a_wildcard_in_an_exact_name(name):
    [fault] = faults_of("apps", name)
    assert fault == (
        f"service account name must be one exact name, got {name!r}; under StringEquals a wildcard"
        " matches nobody, so list the accounts or use subject_patterns"
    )


@pytest.mark.parametrize("value", [None, 1, 1.29, True, ["apps"]])
def test_refuses_what_is_no_text_and_says_how_to_write_it(value):
    [fault] = faults_of(value, "api")
    assert fault.endswith("put it in quotes")


def test_reports_both_faults_at_once():
    assert len(faults_of("Apps", "API")) == 2


@pytest.mark.parametrize(
    ("written", "guess"),
    [("Payments", "payments"), ("pay_ments", "pay-ments"), ("payments\n", "payments")],
)
def test_suggests_what_the_writer_may_have_meant(written, guess):
    [fault] = faults_of(written, "api")
    assert fault.endswith(f"; try {guess!r}")


@pytest.mark.parametrize(
    ("written", "guess"), [("a.b", "a-b"), ("Team.A", "team-a"), ("a" * 64, "a" * 63)]
)
def test_suggests_a_legal_namespace_only(written, guess):
    [fault] = faults_of(written, "api")
    assert fault.endswith(f"; try {guess!r}")


def test_suggests_a_name_as_long_as_names_may_be():
    [fault] = faults_of("apps", "A" * 254)
    assert fault.endswith(f"; try {'a' * 253!r}")


@pytest.mark.parametrize("written", ["", "---", "..", "é"])
def test_suggests_nothing_where_nothing_is_left(written):
    [fault] = faults_of("apps", written)
    assert fault.endswith("; choose another name")


def test_subject_is_the_claim_of_the_accounts_tokens():
    assert ServiceAccountIdentity("apps", "api").subject == "system:serviceaccount:apps:api"


def test_parses_namespace_and_name():
    assert ServiceAccountIdentity.parse("apps/api") == ServiceAccountIdentity("apps", "api")


def test_text_is_what_parse_reads():
    identity = ServiceAccountIdentity("kube-system", "aws-node")
    assert ServiceAccountIdentity.parse(str(identity)) == identity


@pytest.mark.parametrize("text", ["api", "", "apps:api", "system:serviceaccount:apps:api"])
def test_refuses_text_without_a_namespace(text):
    with pytest.raises(
        InvalidInput, match=r"^service_accounts must be 'namespace/name'.*namespace$"
    ):
        ServiceAccountIdentity.parse(text)


@pytest.mark.parametrize("value", [None, 1, ("apps", "api")])
def test_refuses_to_parse_what_is_no_text(value):
    with pytest.raises(InvalidInput, match=r"^service_accounts must be 'namespace/name', got"):
        ServiceAccountIdentity.parse(value)


@pytest.mark.parametrize("text", ["a/b/c", "/b", "a/"])
def test_refuses_text_whose_parts_are_no_names(text):
    with pytest.raises(InvalidInput):
        ServiceAccountIdentity.parse(text)


def test_is_a_value():
    first, second = ServiceAccountIdentity("apps", "api"), ServiceAccountIdentity("apps", "api")
    assert {first} == {second}


def test_cannot_be_changed():
    with pytest.raises(AttributeError):
        ServiceAccountIdentity("apps", "api").name = "other"


def test_sorts_by_namespace_then_name():
    written = ["b/a", "a/b", "a/a"]
    assert sorted(map(ServiceAccountIdentity.parse, written)) == [
        ServiceAccountIdentity("a", "a"),
        ServiceAccountIdentity("a", "b"),
        ServiceAccountIdentity("b", "a"),
    ]
