"""`make review` finds trust that a file does not ask for, and misses none that it asks for."""

import copy
import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from tests.prove_environments import places, trust_faults
from tests.support.templates import ENVIRONMENTS, REPOSITORY, environment
from tests.support.trust_resolver import Deployment


@pytest.fixture(scope="module")
def document():
    return yaml.safe_load((ENVIRONMENTS / "existing-cluster.yaml").read_text())


@pytest.fixture
def templates():
    return copy.deepcopy(environment("existing-cluster").templates)


def faults(document, templates):
    return list(trust_faults(document, Deployment(templates, places(document)[0])))


def test_finds_nothing_wrong_with_what_the_file_asks_for(document, templates):
    assert faults(document, templates) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("StringEquals", "StringLike"),
        ("system:serviceaccount:orders:worker", "system:serviceaccount:*:worker"),
        ("system:serviceaccount:orders:worker", "system:serviceaccount:orders:other"),
        ("sts:AssumeRoleWithWebIdentity", "sts:AssumeRole*WebIdentity"),
        (":sub", ":subject"),
    ],
)
def test_finds_trust_that_the_file_does_not_ask_for(document, templates, before, after):
    text = json.dumps(templates)
    assert before in text
    assert faults(document, json.loads(text.replace(before, after)))


def test_finds_a_role_that_is_not_there(document, templates):
    more = {"namespace": "orders", "name": "reader"}
    asked = {**document, "service_accounts": [*document["service_accounts"], more]}
    [fault] = faults(asked, templates)
    assert "system:serviceaccount:orders:reader" in fault


# What `cdk synth` leaves.


def test_the_templates_of_an_earlier_synth_are_not_left(tmp_path):
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "mine.yaml").write_bytes(
        (ENVIRONMENTS / "existing-cluster.yaml").read_bytes()
    )
    out = tmp_path / "cdk.out"
    out.mkdir()
    (out / "payments-gone-cluster.template.json").write_text("{}")
    subprocess.run(
        [sys.executable, REPOSITORY / "app.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "CDK_OUTDIR": str(out),
             "CDK_CONTEXT_JSON": json.dumps({"environment": "mine"})},
        check=True,
    )  # fmt: skip
    assert [path.name for path in out.glob("*.template.json")] == [
        "orders-staging-service-accounts.template.json"
    ]


def test_no_test_depends_on_the_files_in_environments():
    """newcomer.md B2: a user's file broke the tests."""
    readers = [
        path.name
        for folder in ("tests", "rehearsal")
        for path in (REPOSITORY / folder).rglob("*.py")
        if path.name != "test_prove_environments.py"
        and re.search(r'REPOSITORY / "environments"(?! / "schema)', path.read_text())
    ]
    assert readers == ["local.py"]  # `make deploy-local`, which deploys the user's own
