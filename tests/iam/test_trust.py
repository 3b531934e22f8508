import pytest

from irsa_stack.faults import InvalidInput
from irsa_stack.iam.trust import default_account_faults, identities, trust_policy
from irsa_stack.kubernetes.identity import ServiceAccountIdentity

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
TOKEN = "${Token[TOKEN.12]}"


def policy(*service_accounts, **kwargs):
    return trust_policy(
        **{"provider_arn": PROVIDER, "issuer": ISSUER, "service_accounts": service_accounts}
        | kwargs
    )


def faults_of(*service_accounts, **kwargs):
    with pytest.raises(InvalidInput) as caught:
        policy(*service_accounts, **kwargs)
    return caught.value.faults


def test_one_account_gives_the_whole_policy_and_nothing_else():
    assert policy("apps/api") == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": PROVIDER},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                        f"{ISSUER}:sub": "system:serviceaccount:apps:api",
                    }
                },
            }
        ],
    }


def test_several_accounts_share_one_statement():
    [statement] = policy("apps/api", "apps/worker")["Statement"]
    assert statement["Condition"]["StringEquals"][f"{ISSUER}:sub"] == [
        "system:serviceaccount:apps:api",
        "system:serviceaccount:apps:worker",
    ]


def test_takes_a_generator_for_a_list():
    written = policy("apps/api", subject_patterns=["ci/build-*"])
    assert written == policy(
        service_accounts=(account for account in ["apps/api"]),
        subject_patterns=(pattern for pattern in ["ci/build-*"]),
    )


def test_the_accounts_of_a_set_stand_in_an_order_of_their_own():
    names = [f"apps/{letter}" for letter in "abcdefgh"]
    assert policy(service_accounts=frozenset(names)) == policy(*names)


def test_takes_identities_as_well_as_text():
    assert policy(ServiceAccountIdentity("apps", "api")) == policy("apps/api")


def test_patterns_alone_are_tested_with_string_like_and_the_audience_with_string_equals():
    [statement] = policy(subject_patterns=["apps/build-*"])["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{ISSUER}:sub": "system:serviceaccount:apps:build-*"},
    }


def test_patterns_and_exact_subjects_stand_in_statements_of_their_own():
    exact, pattern = policy("apps/api", subject_patterns=["ci/build-*"])["Statement"]
    assert "StringLike" not in exact["Condition"]
    assert f"{ISSUER}:sub" not in pattern["Condition"]["StringEquals"]


def test_a_pattern_may_be_written_as_a_whole_subject():
    assert policy(subject_patterns=["system:serviceaccount:apps:build-*"]) == policy(
        subject_patterns=["apps/build-*"]
    )


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-iso"])
def test_the_audience_is_the_same_in_every_partition(partition):
    arn = PROVIDER.replace("arn:aws:", f"arn:{partition}:")
    [statement] = policy("apps/api", provider_arn=arn)["Statement"]
    assert statement["Condition"]["StringEquals"][f"{ISSUER}:aud"] == "sts.amazonaws.com"


def test_another_audience_takes_the_place_of_the_usual_one():
    [statement] = policy("apps/api", audience="vault")["Statement"]
    assert statement["Condition"]["StringEquals"][f"{ISSUER}:aud"] == "vault"


def test_deploy_time_values_stand_where_literals_would():
    [statement] = policy("apps/api", provider_arn=TOKEN, issuer=TOKEN)["Statement"]
    assert f"{TOKEN}:sub" in statement["Condition"]["StringEquals"]


# Mistakes, each refused with its fix.


@pytest.mark.parametrize(
    ("kwargs", "rule", "fix"),
    [
        (
            {"issuer": f"https://{ISSUER}"},
            "issuer must have no scheme",
            "condition keys start with the host name",
        ),
        ({"audience": ""}, "audience must be one exact value, got ''", "sts.amazonaws.com"),
        ({"audience": "*"}, "audience must be one exact value, got '*'", "sts.amazonaws.com"),
        ({"audience": "sts.*"}, "audience must be one exact value", "sts.amazonaws.com"),
        ({"audience": None}, "audience must be one exact value, got None", "sts.amazonaws.com"),
        (
            {"audience": "system:serviceaccount:apps:api"},
            "audience must be no subject",
            "name the account in service_accounts",
        ),
        (
            {"service_accounts": ["apps/*"]},
            "service account name must be one exact name, got '*'",
            "use subject_patterns",
        ),
        (
            {"service_accounts": ["*/api"]},
            "namespace must be one exact name, got '*'",
            "list the namespaces",
        ),
        (
            {"subject_patterns": ["*/api-*"]},
            "subject_patterns '*/api-*': namespace must be one exact name",
            "list the namespaces",
        ),
        (
            {"subject_patterns": ["team-*/api"]},
            "subject_patterns 'team-*/api': namespace must be one exact name",
            "list the namespaces",
        ),
        (
            {"subject_patterns": ["system:serviceaccount:*:*"]},
            "subject_patterns 'system:serviceaccount:*:*': namespace must be one exact name",
            "list the namespaces",
        ),
        (
            {"subject_patterns": ["apps/build-*", "system:serviceaccount:apps:build-*"]},
            "subject_patterns must hold each pattern once",
            "remove one",
        ),
        (
            {"subject_patterns": None},
            "subject_patterns must be a list, got None",
            "put it in brackets",
        ),
        (
            {"subject_patterns": [None]},
            "subject_patterns must be 'namespace/name'",
            "such as 'apps/build-*'",
        ),
        (
            {"service_accounts": None},
            "service_accounts must be a list, got None",
            "put it in brackets",
        ),
        (
            {"service_accounts": [None]},
            "service_accounts must be 'namespace/name', got None",
            "such as 'apps/api'",
        ),
        (
            {"service_accounts": (account for account in ())},
            "service_accounts must name at least one service account, got none",
            "without a subject every account of the cluster could assume the role",
        ),
        (
            {"audience": ["sts.amazonaws.com", "vault"]},
            "audience must be one exact value, got ['sts.amazonaws.com', 'vault']",
            "sts.amazonaws.com",
        ),
        ({"provider_arn": None}, "provider_arn must be an ARN, got None", "put it in quotes"),
        (
            {"issuer": None},
            "issuer must have a lower-case host name with a dot, got None",
            "copy it from the cluster",
        ),
        (
            {"subject_patterns": ["apps/api"]},
            "subject_patterns must hold '*' or '?', got 'apps/api'",
            "an exact account belongs into service_accounts",
        ),
        (
            {"subject_patterns": ["apps/Build-*"]},
            "subject_patterns must be 'namespace/name'",
            "such as 'apps/build-*'",
        ),
        (
            {"subject_patterns": "apps/build-*"},
            "subject_patterns must be a list, got 'apps/build-*'",
            "put it in brackets",
        ),
        (
            {"service_accounts": "apps/api"},
            "service_accounts must be a list, got 'apps/api'",
            "put it in brackets",
        ),
        (
            {"service_accounts": ServiceAccountIdentity("apps", "api")},
            "service_accounts must be a list, got 'apps/api'",
            "put it in brackets",
        ),
        (
            {"service_accounts": []},
            "service_accounts must name at least one service account, got none",
            "without a subject every account of the cluster could assume the role",
        ),
        (
            {"service_accounts": ["apps/api", "apps/api"]},
            "service_accounts must name each account once",
            "remove one",
        ),
        (
            {"provider_arn": PROVIDER.replace("oidc-provider/", "oidc-provider:")},
            "provider_arn must be written oidc-provider/NAME",
            "replace the last colon by a slash",
        ),
        (
            {"provider_arn": "arn:aws:iam::111122223333:role/api"},
            "provider_arn must name a oidc-provider",
            "such as arn:aws:iam::ACCOUNT:oidc-provider/NAME",
        ),
        (
            {"provider_arn": "arn:aws:iam::111122223333:oidc-provider/other.example.com"},
            f"provider_arn must end in the issuer {ISSUER!r}",
            "a key of another issuer never matches",
        ),
    ],
)
def test_refuses_a_mistake_and_names_its_fix(kwargs, rule, fix):
    faults = faults_of("apps/api", **kwargs)
    assert [fault for fault in faults if fault.startswith(rule) and fault.endswith(fix)], faults


def test_reports_every_fault_at_once():
    faults = faults_of(
        "Apps/api",
        "apps/*",
        provider_arn="arn:aws:iam::1:oidc-provider/x.example",
        issuer="https://y.example",
        audience="",
        subject_patterns=["*/x"],
    )
    assert len(faults) == 8


def test_identities_reads_text_and_keeps_identities():
    assert identities(["apps/api", ServiceAccountIdentity("apps", "worker")]) == (
        ServiceAccountIdentity("apps", "api"),
        ServiceAccountIdentity("apps", "worker"),
    )


def test_identities_reports_every_fault():
    with pytest.raises(InvalidInput) as caught:
        identities(["api", "Apps/api"])
    assert len(caught.value.faults) == 2


def test_refuses_the_default_account_unless_asked_for_by_name():
    default = [ServiceAccountIdentity("apps", "default")]
    [fault] = default_account_faults(default, allowed=False)
    assert "set allow_default_service_account" in fault
    assert not list(default_account_faults(default, allowed=True))
