import pytest

from irsa_stack.cloudformation.deploy_time import TOKEN
from irsa_stack.cloudformation.outcomes import OUTCOMES_AT_MOST, Template, is_plain

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
    return Template(resources=HIDDEN, known=known).resolved(value)


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


def test_an_issuer_url_has_a_scheme_and_an_issuer_has_none():
    url = resolved({"Fn::GetAtt": ["Cluster", "OpenIdConnectIssuerUrl"]})
    issuer = resolved(
        {"Fn::Select": [1, {"Fn::Split": ["//", {"Fn::GetAtt": "Cluster.OpenIdConnectIssuerUrl"}]}]}
    )
    assert url == f"https://{issuer}"
    assert TOKEN.fullmatch(issuer)


# Outcomes

IF = {"Fn::If": ["IsProd", "a", "b"]}
TEMPLATE = Template.of(
    {
        "Parameters": {
            "Size": {"Type": "String", "AllowedValues": ["s", "m", "l"], "Default": "s"},
            "Name": {"Type": "String", "Default": "api"},
            "Names": {"Type": "CommaDelimitedList", "Default": "api, worker"},
            "Store": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/name"},
            "Any": {"Type": "String"},
            "Label": {"Type": "String", "AllowedPattern": "[a-z]+"},
        },
        "Mappings": {"Map": {"dev": {"sub": "x"}, "prod": {"sub": "*"}}},
        "Conditions": {
            "IsProd": {"Fn::Equals": [{"Ref": "Any"}, "prod"]},
            "IsDev": {"Fn::Not": [{"Condition": "IsProd"}]},
            "Is": {"Fn::Equals": ["1", "1"]},
            "Round": {"Condition": "Round"},
        },
        "Resources": {
            "Fn::ForEach::Roles": ["N", ["a", "b"], {"Role${N}": {"Type": "${N}"}}],
            "Bucket": {"Type": "AWS::S3::Bucket"},
            "Nested": {"Type": "AWS::CloudFormation::Stack"},
            "Provider": {
                "Type": "AWS::IAM::OIDCProvider",
                "Properties": {"Url": "https://oidc.example.com/id/1"},
            },
        },
    },
    {"AWS::Partition": "aws", "AWS::AccountId": "111122223333"},
)


@pytest.mark.parametrize(
    ("value", "outcomes"),
    [
        ("text", ["text"]),
        (IF, ["a", "b"]),
        ({"Fn::If": ["IsProd", IF, "c"]}, ["a", "c"]),
        ([IF, {"Fn::If": ["IsDev", "c", "d"]}], [["a", "d"], ["b", "c"]]),
        ({"Fn::If": ["Is", "a", "b"]}, ["a", "b"]),
        ({"Fn::If": ["Round", "a", "b"]}, ["a", "b"]),
        ({"Fn::If": ["Unheard", "a", "b"]}, ["a", "b"]),
        ({"x": {"Fn::If": ["IsProd", 1, {"Ref": "AWS::NoValue"}]}}, [{"x": 1}, {}]),
        ([1, {"Ref": "AWS::NoValue"}], [[1]]),
        ({"Ref": "Size"}, ["s", "m", "l"]),
        ({"Fn::Sub": "${Size}-${Size}"}, ["s-s", "m-m", "l-l"]),
        ({"Ref": "Name"}, ["api"]),
        ({"Ref": "Names"}, [["api", "worker"]]),
        ({"Fn::FindInMap": ["Map", "prod", "sub"]}, ["*"]),
        ({"Fn::FindInMap": ["Map", {"Ref": "Any"}, "sub"]}, ["x", "*"]),
        ({"Fn::FindInMap": ["Map", "none", "sub", {"DefaultValue": "y"}]}, ["y"]),
        ({"Fn::Base64": "*"}, ["Kg=="]),
        ({"Fn::ToJsonString": {"a": IF}}, ['{"a": "a"}', '{"a": "b"}']),
        ({"Ref": "Provider"}, ["arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/1"]),
        (
            {"Fn::Select": [1, {"Fn::Split": [":oidc-provider/", {"Ref": "Provider"}]}]},
            ["oidc.example.com/id/1"],
        ),
        ({"Fn::Select": [0, {"Fn::Split": ['"', {"Ref": "Name"}]}]}, ["api"]),
    ],
)
def test_each_outcome_is_told(value, outcomes):
    found = TEMPLATE.outcomes(value)
    assert found.is_complete
    assert found.values == outcomes


@pytest.mark.parametrize(
    ("value", "holds_no_wildcards"),
    [
        ({"Ref": "Any"}, False),
        ({"Ref": "Label"}, True),
        ({"Ref": "Store"}, False),
        ({"Ref": "AWS::Region"}, True),
        ({"Ref": "Bucket"}, True),
        ({"Fn::GetAtt": "Bucket.Arn"}, True),
        ({"Fn::GetAtt": ["Nested", "Outputs.Subject"]}, False),
        ({"Fn::ImportValue": "x"}, False),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, False),
    ],
)
def test_what_is_not_known_is_plain_if_it_can_hold_no_wildcards(value, holds_no_wildcards):
    [found] = TEMPLATE.outcomes(value).values
    assert TOKEN.fullmatch(found)
    assert is_plain(found) is holds_no_wildcards


def test_loops_are_written_out():
    assert {name: one["Type"] for name, one in TEMPLATE.resources.items() if "Role" in name} == {
        "Rolea": "a",
        "Roleb": "b",
    }


def test_more_outcomes_than_can_be_followed_are_said():
    found = TEMPLATE.outcomes([{"Fn::If": [f"C{at}", 1, 2]} for at in range(12)])
    assert not found.is_complete
    assert 0 < len(found.values) <= OUTCOMES_AT_MOST
