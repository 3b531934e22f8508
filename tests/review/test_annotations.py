import json

import pytest

from irsa_stack.review.annotations import role_annotation_findings

TOKEN = "${Token[TOKEN.12]}"


def manifest(role_arn):
    return {
        "kind": "ServiceAccount",
        "metadata": {"annotations": {"eks.amazonaws.com/role-arn": role_arn}},
    }


@pytest.mark.parametrize(
    "role_arn",
    ["arn:aws:iam::111122223333:role/team/api", TOKEN, f"arn:{TOKEN}:iam::{TOKEN}:role/x"],
)
def test_accepts_the_arn_of_a_role(role_arn):
    assert not list(role_annotation_findings(manifest(role_arn)))


@pytest.mark.parametrize("wrap", [manifest, lambda arn: json.dumps([manifest(arn)])])
def test_names_the_slash_in_a_role_annotation_written_with_a_colon(wrap):
    [finding] = role_annotation_findings({"Manifest": wrap("arn:aws:iam::111122223333:role:api")})
    assert finding.id == "IRSA501"
    assert finding.fault == (
        "eks.amazonaws.com/role-arn must be written role/NAME, got"
        " 'arn:aws:iam::111122223333:role:api'; replace the last colon by a slash"
    )


def test_reports_a_role_of_another_partition():
    value = manifest("arn:aws:iam::111122223333:role/api")
    [finding] = role_annotation_findings(value, partition="aws-cn")
    assert "must be in partition aws-cn" in finding.fault


@pytest.mark.parametrize("value", [None, "text", 'eks.amazonaws.com/role-arn: "x', ["a"], 1])
def test_other_values_have_no_role_annotation(value):
    assert not list(role_annotation_findings(value))


@pytest.mark.parametrize("role_arn", ["${ROLE_ARN}", "{{ .Values.role }}", "<ROLE ARN>"])
def test_what_is_still_to_be_filled_in_is_no_mistake(role_arn):
    assert not list(role_annotation_findings(manifest(role_arn)))
