import json

import pytest

from irsa_stack.cloudformation.template_text import template_from_text

YAML = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Name: !Sub "${A}-b"
      Boundary: !GetAtt Policy.Arn
      Path: !If [IsProd, !Ref Path, /]
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement: []
"""


def test_reads_short_tags_and_versions_as_text():
    assert template_from_text(YAML)["Resources"]["Role"]["Properties"] == {
        "Name": {"Fn::Sub": "${A}-b"},
        "Boundary": {"Fn::GetAtt": "Policy.Arn"},
        "Path": {"Fn::If": ["IsProd", {"Ref": "Path"}, "/"]},
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
    }


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_reads_json(indent):
    template = {"Resources": {"A": {"Type": "X"}}}
    assert template_from_text(json.dumps(template, indent=indent)) == template


@pytest.mark.parametrize("text", ["", "text", "[", "{}", "- a", "a: [b", "Resources: !!python/x 1"])
def test_other_text_is_no_template(text):
    assert template_from_text(text) is None
