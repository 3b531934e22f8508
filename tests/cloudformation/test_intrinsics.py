import pytest

from irsa_stack.cloudformation.deploy_time import TOKEN
from irsa_stack.cloudformation.intrinsics import Intrinsics

HIDDEN = {
    "Conditions": {
        "Type": "Custom::AWSCDKCfnJson",
        "Properties": {
            "Value": {"Fn::Join": ["", ['{"', {"Ref": "Issuer"}, ':aud":"sts.amazonaws.com"}']]}
        },
    },
    "Broken": {"Type": "Custom::AWSCDKCfnJson", "Properties": {"Value": "{"}},
}


def resolved(value, **known):
    return Intrinsics(resources=HIDDEN, known=known).resolved(value)


@pytest.mark.parametrize("value", ["text", 1, True, None, ["a", 1], {"a": {"b": ["c"]}}, {}])
def test_literals_stay_as_they_are(value):
    assert resolved(value) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"Ref": "Issuer"}, "oidc.example.com"),
        ({"Fn::Join": ["", ["https://", {"Ref": "Issuer"}]]}, "https://oidc.example.com"),
        ({"Fn::Join": ["/", ["a", "b"]]}, "a/b"),
        ({"Fn::Sub": "${Issuer}:aud"}, "oidc.example.com:aud"),
        ({"Fn::Sub": ["${A}${Issuer}", {"A": {"Ref": "Issuer"}}]}, "oidc.example.com" * 2),
        ({"Fn::Sub": "${!aws:username}"}, "${aws:username}"),
        (
            {"Fn::Select": [1, {"Fn::Split": ["//", "https://oidc.example.com"]}]},
            "oidc.example.com",
        ),
        ({"Fn::Select": ["0", ["a", "b"]]}, "a"),
    ],
)
def test_resolves_what_literals_tell(value, text):
    assert resolved(value, Issuer="oidc.example.com") == text


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Cluster"},
        {"Fn::GetAtt": ["Cluster", "OpenIdConnectIssuerUrl"]},
        {"Fn::ImportValue": "cluster:Issuer"},
        {"Fn::If": ["IsProd", "a", "b"]},
        {"Fn::Join": ["", {"Ref": "List"}]},
        {"Fn::Select": [1, {"Fn::Split": ["//", {"Ref": "Url"}]}]},
        {"Fn::Select": [5, ["a"]]},
        {"Fn::GetAtt": ["Broken", "Value"]},
    ],
)
def test_what_only_the_deploy_can_tell_is_one_deploy_time_value(value):
    assert TOKEN.fullmatch(resolved(value))


def test_the_same_expression_gives_the_same_value():
    assert resolved({"Ref": "A"}) == resolved({"Ref": "A"}) != resolved({"Ref": "B"})


def test_unknown_parts_stand_among_literal_ones():
    assert TOKEN.split(resolved({"Fn::Sub": "a:${Cluster.Arn}:b"})) == ["a:", ":b"]


def test_reads_the_conditions_that_the_cdk_hides_behind_a_custom_resource():
    value = {"StringEquals": {"Fn::GetAtt": ["Conditions", "Value"]}}
    assert resolved(value, Issuer="oidc.example.com") == {
        "StringEquals": {"oidc.example.com:aud": "sts.amazonaws.com"}
    }


def test_an_unknown_value_has_no_colon_that_would_split_an_arn():
    assert ":" not in resolved({"Ref": "AWS::Region"})
