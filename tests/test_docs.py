"""Every Python block of README, docs and docstrings runs; what the pages name exists."""

import doctest
import importlib
import re
from pathlib import Path

import pytest
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.sybil import Sybil

import irsa_stack
from irsa_stack.review.rules import RULES
from irsa_stack.review.rules_table import rules_table

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "irsa_stack").rglob("*.py"))
    if ">>>" in path.read_text()
]
BESIDE_DOCS = [ROOT / "README.md", *sorted((ROOT / "examples").rglob("README.md"))]
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
SOURCE = "\n".join(
    path.read_text()
    for folder in ("irsa_stack", "lambda")
    for path in (ROOT / folder).rglob("*.py")
)
# Headings of the troubleshooting page that others print.
BY_AWS = (
    "Version and ReleaseVersion updates cannot be combined with other updates",
    "AlreadyExists",
    "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP]",
    "EntityAlreadyExists",
    "Cannot exceed quota for ACLSizePerRole",
    "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    "InvalidIdentityToken: No OpenIDConnect provider found in your account",
    "InvalidIdentityToken: Incorrect token audience",
    "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint",
)
BY_KUBERNETES = ("Unauthorized", "failed to introspect vpcID from EC2Metadata")
BY_THE_CDK = (
    "Cloud assembly schema version mismatch",
    "AwsSolutions-IAM4",
    "AwsSolutions-IAM5",
    "irsa-stack::IRSA101",
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_run(page):
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)

    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_run(module):
    failed, tried = doctest.testmod(importlib.import_module(module))

    assert tried
    assert not failed


@pytest.mark.parametrize(
    "message",
    [
        message
        for heading in re.findall(r"^#+ .*", TROUBLESHOOTING, re.MULTILINE)
        for message in re.findall(r"`([^`]+)`", heading)
    ],
)
def test_a_heading_quotes_a_message_that_exists(message):
    assert message in (*BY_AWS, *BY_KUBERNETES, *BY_THE_CDK) or message in SOURCE


def test_every_rule_of_the_trust_review_is_explained():
    assert re.findall(r"^\| `(IRSA\d+)` \|", TROUBLESHOOTING, re.MULTILINE) == list(RULES)
    assert rules_table() in TROUBLESHOOTING


def test_every_step_of_the_aws_node_transaction_can_be_searched_for():
    page = (ROOT / "docs" / "aws-node.md").read_text()
    steps = re.findall(
        r'_step\("([^"]+)"\)', (ROOT / "lambda" / "aws_node" / "transaction.py").read_text()
    )

    assert steps
    assert [step for step in steps if f"`{step}`" not in page] == []


def test_the_reference_has_every_public_name():
    page = (ROOT / "docs" / "reference.md").read_text()
    documented = {line.rpartition(".")[2] for line in page.splitlines() if line.startswith(":::")}

    assert set(irsa_stack.__all__) - {"stacks"} <= documented
    assert {"EksClusterStack", "ServiceAccountsStack"} <= documented  # what `stacks` is for


@pytest.mark.parametrize("page", BESIDE_DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


WALK = re.findall(
    r"^\| `([\w/.]+\.py)` `(def \w+\()` \|",
    (ROOT / "docs" / "architecture.md").read_text(),
    re.MULTILINE,
)


def test_the_walk_through_the_code_has_its_stops():
    assert len(WALK) >= 6


@pytest.mark.parametrize(("file", "definition"), WALK)
def test_a_stop_of_the_walk_through_the_code_is_there(file, definition):
    assert definition in (ROOT / file).read_text()
