import pytest

from irsa_stack.iam.arn import arn_faults

ACCOUNT = "111122223333"
TOKEN = "${Token[AWS.Partition.3]}"


def faults(arn, kind="role", **kwargs):
    return list(arn_faults(arn, kind, of="role_arn", **kwargs))


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/app", "role"),
        (f"arn:aws-cn:iam::{ACCOUNT}:role/team/app", "role"),
        (f"arn:aws-us-gov:iam::{ACCOUNT}:role/a+b=c,d.e@f-g_h", "role"),
        (f"arn:aws:iam::{ACCOUNT}:policy/boundary", "policy"),
        ("arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy", "policy"),
        ("arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy", "policy"),
        (f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.com/id/1", "oidc-provider"),
        (f"arn:aws-iso-b:iam::{ACCOUNT}:role/app", "role"),
    ],
)
def test_accepts_an_arn_of_its_kind(arn, kind):
    assert not faults(arn, kind)


@pytest.mark.parametrize(
    ("arn", "rule"),
    [
        ("app", "role_arn must be an ARN such as"),
        ("", "role_arn must be an ARN such as"),
        ("arn:aws:iam::role/app", "role_arn must be an ARN such as"),
        (f"arn:amazon:iam::{ACCOUNT}:role/app", "role_arn must be in one of aws, aws-cn"),
        (f"arn:aws:sts::{ACCOUNT}:role/app", "role_arn must be an IAM ARN"),
        (f"arn:aws:iam:eu-west-1:{ACCOUNT}:role/app", "role_arn must be an IAM ARN"),
        ("arn:aws:iam::1111:role/app", "role_arn must hold a 12-digit account"),
        ("arn:aws:iam::aws:role/app", "role_arn must hold a 12-digit account"),
        (f"arn:aws:iam::{ACCOUNT}:role/", "role_arn must name a role, got"),
        (f"arn:aws:iam::{ACCOUNT}:policy/app", "role_arn must name a role, got"),
        (f"arn:aws:iam::{ACCOUNT}:role/a b", "role_arn must use letters"),
        (f"arn:aws:iam::{ACCOUNT}:role/app\n", "role_arn must use letters"),
        (f"arn:aws:iam::{ACCOUNT}:role/*", "role_arn must use letters"),
        (f"arn:aws:iam::{ACCOUNT}:role//app", "role_arn must use letters"),
    ],
)
def test_refuses_what_iam_would_refuse(arn, rule):
    [fault] = faults(arn)
    assert fault.startswith(rule)


@pytest.mark.parametrize("kind", ["role", "policy", "oidc-provider"])
def test_names_the_slash_when_a_colon_stands_for_it(kind):
    [fault] = faults(f"arn:aws:iam::{ACCOUNT}:{kind}:NAME", kind)
    assert fault == (
        f"role_arn must be written {kind}/NAME, got 'arn:aws:iam::{ACCOUNT}:{kind}:NAME';"
        " replace the last colon by a slash"
    )


def test_refuses_an_arn_of_another_partition():
    [fault] = faults(f"arn:aws:iam::{ACCOUNT}:role/app", partition="aws-cn")
    assert fault == (
        f"role_arn must be in partition aws-cn, got 'arn:aws:iam::{ACCOUNT}:role/app';"
        " partitions do not trust each other, so write arn:aws-cn:..."
    )


def test_refuses_an_arn_of_another_account():
    [fault] = faults(f"arn:aws:iam::{ACCOUNT}:role/app", account="444455556666")
    assert fault.startswith("role_arn must be in account 444455556666")


@pytest.mark.parametrize(
    "arn",
    [
        TOKEN,
        f"arn:{TOKEN}:iam::{ACCOUNT}:role/x",
        f"arn:aws:iam::{TOKEN}:role/x",
        f"arn:aws:iam::{ACCOUNT}:role{TOKEN}x",
        f"arn:aws:iam::{TOKEN}",
        f"{TOKEN}:role/x",
    ],
)
def test_what_is_known_at_deploy_only_has_no_faults_yet(arn):
    assert not faults(arn, partition="aws-cn" if ":aws:" not in arn else None, account=ACCOUNT)


@pytest.mark.parametrize(
    ("arn", "rule"),
    [
        (f"arn:{TOKEN}:iam::444455556666:role/app", f"role_arn must be in account {ACCOUNT}"),
        (f"arn:{TOKEN}:iam::1:role/app", "role_arn must hold a 12-digit account"),
        (f"arn:aws-cn:iam::{TOKEN}:role/app", "role_arn must be in partition aws"),
        (f"arn:{TOKEN}:iam::{ACCOUNT}:role:app", "role_arn must be written role/NAME"),
        (f"arn:{TOKEN}:sts::{ACCOUNT}:role/app", "role_arn must be an IAM ARN"),
    ],
)
def test_the_literal_parts_of_a_deploy_time_arn_are_checked(arn, rule):
    [fault] = faults(arn, partition="aws", account=ACCOUNT)
    assert fault.startswith(rule)


@pytest.mark.parametrize("value", [None, 111122223333, ["arn"]])
def test_refuses_what_is_no_text(value):
    [fault] = faults(value)
    assert fault.endswith("put it in quotes")


def test_reports_every_fault_of_an_arn():
    assert len(faults("arn:amazon:s3:::role:app")) == 4
