"""103 templates that others tried the review with, and what each should be."""

import json
from pathlib import Path

import pytest

from irsa_stack.review.template import template_findings

ACCOUNT = "111122223333"
CASES = json.loads((Path(__file__).parent / "cases" / "trust-policies.json").read_text())
OPEN = {"critical", "high"}


def found(case):
    findings = template_findings(case["template"], account=ACCOUNT)
    return [one for one in findings if not one.is_remark]


def cases(*kinds):
    return [
        pytest.param(case, id=f"{case['id']}-{case['case']}")
        for case in CASES
        if case["should"] in kinds
    ]


@pytest.mark.parametrize("case", cases("open"))
def test_an_open_role_is_found_to_be_open(case):
    assert OPEN & {one.severity for one in found(case)}


@pytest.mark.parametrize("case", cases("dead"))
def test_a_role_that_nobody_can_assume_is_found(case):
    assert "medium" in {one.severity for one in found(case)}


@pytest.mark.parametrize("case", cases("ok"))
def test_a_good_role_has_no_finding(case):
    assert found(case) == []


@pytest.mark.parametrize("case", cases("blind"))
def test_what_cannot_be_read_cannot_be_told(case):
    assert {one.id for one in found(case)} == {"IRSA901"}


@pytest.mark.parametrize("case", cases("lint"))
def test_what_is_only_untidy_is_never_called_open(case):
    assert not OPEN & {one.severity for one in found(case)}
