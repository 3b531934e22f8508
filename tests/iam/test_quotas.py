import json

import pytest

from irsa_stack.iam import quotas
from irsa_stack.iam.trust import trust_policy

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
TOKEN = "${Token[TOKEN.12]}"
REGION = "${Token[AWS.Region.4]}"
PARTITION = "${Token[AWS.Partition.3]}"


def document_of(characters):
    """A policy of exactly that many characters."""
    empty = len(json.dumps({"Sid": ""}, separators=(",", ":")))
    return {"Sid": "x" * (characters - empty)}


def trusting(count):
    return trust_policy(
        provider_arn=f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}",
        issuer=ISSUER,
        service_accounts=[f"namespace/account-{number:03}" for number in range(count)],
    )


# How IAM counts


def test_white_space_between_elements_does_not_count():
    assert quotas.document_characters({"a": ["b", "c"]}) == len('{"a":["b","c"]}')


def test_a_token_counts_as_long_as_it_may_get():
    assert quotas.document_characters({"a": TOKEN}) == len('{"a":""}') + 128


@pytest.mark.parametrize(
    ("pseudo", "longest"),
    [("Partition", 10), ("AccountId", 12), ("Region", 15), ("URLSuffix", 16)],
)
def test_a_pseudo_parameter_counts_as_its_longest_value(pseudo, longest):
    token = f"${{Token[AWS.{pseudo}.3]}}"
    assert quotas.document_characters({"a": token}) == len('{"a":""}') + longest


def test_a_known_token_counts_as_said():
    assert quotas.document_characters({"a": TOKEN}, {TOKEN: 5}) == len('{"a":""}') + 5


def test_an_issuer_token_counts_as_the_longest_issuer_of_eks():
    longest = quotas.longest_provider_tokens(TOKEN, "${Token[TOKEN.13]}")
    assert longest == {"${Token[TOKEN.13]}": 88, TOKEN: 135}


def test_a_provider_arn_with_text_around_its_tokens_is_counted_token_by_token():
    arn = f"arn:{PARTITION}:iam::111122223333:oidc-provider/{ISSUER}"
    assert quotas.longest_provider_tokens(arn, ISSUER) == {}


def test_a_document_of_a_template_counts_with_its_functions_at_their_longest():
    bucket = ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": "Bucket"}, "/*"]
    document = {"Resource": {"Fn::Join": ["", bucket]}}
    found = quotas.document_characters(quotas.longest_document(document))
    assert found == len('{"Resource":"arn::s3:::/*"}') + len("aws-us-gov") + 128


# Trust policies


@pytest.mark.parametrize("allowed", [2_048, 4_096, 8_192])
def test_a_trust_policy_fills_its_budget_and_no_more(allowed):
    def faults(size):
        return list(quotas.trust_policy_size_faults(document_of(size), role="Api", allowed=allowed))

    assert not faults(allowed)
    [fault] = faults(allowed + 1)
    assert fault == (
        f"trust policy of Api must be at most {allowed} characters, got {allowed + 1} at the"
        " longest; split the service accounts over several roles, use subject_patterns, or raise"
        " quota L-C07B4B0D and pass trust_policy_characters"
    )


@pytest.mark.parametrize("allowed", [2_047, 8_193, 0])
def test_refuses_a_quota_that_iam_does_not_grant(allowed):
    faults = list(quotas.trust_policy_size_faults({}, role="Api", allowed=allowed))
    assert faults[0].startswith(f"trust_policy_characters must be 2048-8192, got {allowed}")


def test_some_thirty_accounts_fit_into_the_default_budget():
    assert not list(quotas.trust_policy_size_faults(trusting(30), role="Api"))
    assert list(quotas.trust_policy_size_faults(trusting(45), role="Api"))


# Permissions


def test_inline_policies_share_one_budget():
    def faults(size):
        documents = {"One": document_of(5_000), "Two": document_of(size)}
        return list(quotas.inline_policies_faults(documents, role="Api"))

    assert not faults(5_240)
    [fault] = faults(5_241)
    assert fault == (
        "inline policies of Api must be at most 10240 characters together, got 10241 at the"
        " longest; move some into managed_policies, or into an iam.ManagedPolicy that has the role"
        " in its roles"
    )


def test_a_managed_policy_has_6144_characters():
    def faults(size):
        return list(quotas.managed_policy_faults(document_of(size), policy="Boundary"))

    assert not faults(6_144)
    [fault] = faults(6_145)
    assert fault == (
        "managed policy Boundary must be at most 6144 characters, got 6145 at the longest;"
        " split its statements over several policies"
    )


# Names and texts


@pytest.mark.parametrize(
    "name", [None, "a", "a" * 64, "a+b=c,d.e@f-g_h", TOKEN, f"app-{REGION}", f"a-{TOKEN}"]
)
def test_accepts_a_role_name(name):
    assert not list(quotas.role_name_faults(name))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("a" * 65, "role_name must be at most 64 characters, got 65"),
        ("a b", "role_name must use letters, digits and _+=,.@-"),
        ("a\n", "role_name must use letters, digits and _+=,.@-"),
        ("", "role_name must use letters, digits and _+=,.@-"),
        ("é", "role_name must use letters, digits and _+=,.@-"),
        ("team/app", "role_name must use letters, digits and _+=,.@-"),
        ("a" * 50 + REGION, "role_name must be at most 64 characters, got 65 at the longest"),
        ("a" * 64 + TOKEN, "role_name must be at most 64 characters, got 65 at the longest"),
        (f"my role/{REGION}", "role_name must use letters, digits and _+=,.@-"),
    ],
)
def test_refuses_a_role_name_that_iam_would_refuse(name, rule):
    [fault] = quotas.role_name_faults(name)
    assert fault.startswith(rule)


def test_says_that_a_role_needs_no_name():
    [fault] = quotas.role_name_faults("a" * 65)
    assert fault.endswith("shorten it, or leave it out and CloudFormation names the role")


@pytest.mark.parametrize(
    "path",
    [None, "/", "/team/", "/a/b/c/", "/" + "a" * 510 + "/", TOKEN, f"/{REGION}/", f"/a/{TOKEN}/b/"],
)
def test_accepts_a_path(path):
    assert not list(quotas.path_faults(path))


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/" + "a" * 511 + "/", "path must be at most 512 characters, got 513"),
        ("team", "path must start and end with '/', got 'team'; try '/team/'"),
        ("/team", "path must start and end with '/', got '/team'; try '/team/'"),
        ("team/app/", "path must start and end with '/', got 'team/app/'; try '/team/app/'"),
        ("", "path must start and end with '/', got ''; try '/'"),
        ("//", "path must start and end with '/', got '//'; try '/'"),
        ("/team/\n", "path must start and end with '/'"),
        ("/a b/", "path must "),
        ("/" + "a" * 497 + f"/{REGION}/", "path must be at most 512 characters, got 515 at the"),
        (f"team/{REGION}", "path must start and end with '/'"),
        (f"/team/{TOKEN}", "path must start and end with '/'"),
    ],
)
def test_refuses_a_path_that_iam_would_refuse(path, rule):
    [fault] = quotas.path_faults(path)
    assert fault.startswith(rule)


@pytest.mark.parametrize(
    "text", [None, "", "a" * 1_000, "tab\tand\nline", "¡é ÿ", TOKEN, f"in {REGION}"]
)
def test_accepts_a_description(text):
    assert not list(quotas.description_faults(text))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a" * 1_001, "description must be at most 1000 characters, got 1001; shorten it"),
        ("→", "description must use Latin-1 characters, got '→'; replace the others"),
        ("a\x00", "description must use Latin-1 characters"),
        ("a" * 1_000 + REGION, "description must be at most 1000 characters, got 1015 at the"),
        (f"→ {REGION}", "description must use Latin-1 characters"),
    ],
)
def test_refuses_a_description_that_iam_would_refuse(text, rule):
    [fault] = quotas.description_faults(text)
    assert fault.startswith(rule)


@pytest.mark.parametrize("seconds", [None, 3_600, 43_200])
def test_accepts_a_session_of_1_to_12_hours(seconds):
    assert not list(quotas.session_faults(seconds))


@pytest.mark.parametrize("seconds", [0, 3_599, 43_201])
def test_refuses_another_session(seconds):
    [fault] = quotas.session_faults(seconds)
    assert fault.startswith("max_session_duration must be 1 to 12 hours")


def test_a_role_has_50_tags_at_most():
    assert not list(quotas.tags_faults(50, of="Api"))
    [fault] = quotas.tags_faults(51, of="Api")
    assert fault == "tags of Api must be at most 50, got 51; remove some"
