"""Each example is a whole app that synthesises, short enough to read; its README says all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from irsa_stack.review.template import template_findings

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/app.py"))


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda example: example.name)
def example(request):
    return request.param


@pytest.fixture(scope="module")
def templates(example, tmp_path_factory):
    outdir = tmp_path_factory.mktemp(example.name)
    subprocess.run(
        [sys.executable, "app.py"],
        cwd=example,
        check=True,
        env={**os.environ, "CDK_OUTDIR": str(outdir), "PYTHONPATH": str(ROOT)},
    )
    return [json.loads(path.read_text()) for path in outdir.glob("*.template.json")]


def test_is_under_60_lines(example):
    assert len((example / "app.py").read_text().splitlines()) < 60


@pytest.mark.parametrize(
    "words", ["cdk deploy", "**Change**", "**You get**", "**Costs**", "**Tear down**"]
)
def test_readme_says(example, words):
    assert words in (example / "README.md").read_text()


def test_is_listed(example):
    assert f"({example.name}/)" in (ROOT / "examples" / "README.md").read_text()


def test_synthesises_roles_with_their_trust_in_the_open(templates):
    roles = [
        json.dumps(resource["Properties"]["AssumeRolePolicyDocument"])
        for template in templates
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
    ]
    web_identity = [role for role in roles if "AssumeRoleWithWebIdentity" in role]

    assert web_identity
    assert all(":sub" in role and "sts.amazonaws.com" in role for role in web_identity)
    assert not any("CfnJson" in json.dumps(template) for template in templates)


def test_the_review_finds_nothing(templates):
    assert [one for template in templates for one in template_findings(template)] == []
