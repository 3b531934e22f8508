"""Lookups of the CDK: nothing of ours refuses its placeholders, and every looked-up value counts.

bugs.md F2: the CLI looks up only after an app that exits 0.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.support.templates import REPOSITORY

CDK = REPOSITORY / "node_modules" / ".bin" / "cdk"
APP = REPOSITORY / "tests" / "support" / "lookups" / "app.py"
ID = "0123456789ABCDEF0123456789ABCDEF"
PARAMETERS = {
    "name": "orders",
    "endpoint": f"https://{ID}.gr7.eu-west-1.eks.amazonaws.com",
    "ca": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUMK",
    "issuer": f"https://oidc.eks.eu-west-1.amazonaws.com/id/{ID}",
    "other": "oidc.eks.eu-west-1.amazonaws.com/id/BBBB",
    "thumbprint": "06b25927c42a721631c1efd9431e648fa62e1e39",
    "namespace": "shop",
    "role-name": "reader",
    "description": "Reads",
    "boundary": "arn:aws:iam::111122223333:policy/boundary",
}
VPC_ID = "vpc-0123456789abcdef0"


def run(folder, *command, context=None):
    if context is not None:
        (folder / "cdk.context.json").write_text(json.dumps(context))
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "CDK_VALIDATION": "false",
             "CDK_OUTDIR": str(folder / "cdk.out"), "CDK_CONTEXT_JSON": json.dumps(context or {})},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def first_pass(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    done = run(folder, sys.executable, str(APP))
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "cdk.out" / "manifest.json").read_text())


def looked_up(missing, **changed):
    """What the CLI would write into cdk.context.json, with *changed* parameters."""
    values = {**PARAMETERS, **changed}
    found = {}
    for one in missing:
        if one["provider"] == "ssm":
            found[one["key"]] = values[one["props"]["parameterName"].removeprefix("/eks/")]
        elif one["provider"] == "vpc-provider":
            found[one["key"]] = {
                "vpcId": changed.get("vpc", VPC_ID),
                "vpcCidrBlock": "10.0.0.0/16",
                "ownerAccountId": "111122223333",
                "availabilityZones": [],
                "subnetGroups": [
                    {
                        "name": "Private",
                        "type": "Private",
                        "subnets": [
                            {
                                "subnetId": "subnet-0a1b2c3d",
                                "cidr": "10.0.0.0/24",
                                "availabilityZone": "eu-west-1a",
                                "routeTableId": "rtb-0a1b2c3d",
                            }
                        ],
                    }
                ],
            }
        elif one["provider"] == "hosted-zone":
            zone = changed.get("zone", "Z0123456789ABCDEFGHIJ")
            found[one["key"]] = {"Id": f"/hostedzone/{zone}", "Name": "example.com."}
        else:
            assert one["provider"] == "security-group"
            found[one["key"]] = {"securityGroupId": "sg-0a1b2c3d", "allowAllOutbound": True}
    return found


def test_the_first_pass_reports_what_the_cli_must_look_up(first_pass):
    providers = [one["provider"] for one in first_pass["missing"]]
    assert providers.count("ssm") == len(PARAMETERS)
    assert {"vpc-provider", "hosted-zone"} <= set(providers)


@pytest.fixture(scope="module")
def whole_context(first_pass, tmp_path_factory):
    """The context after as many passes as it takes: a group is looked up once its VPC is known."""
    folder = tmp_path_factory.mktemp("passes")
    missing = list(first_pass["missing"])
    for _ in range(2):
        done = run(folder, sys.executable, str(APP), context=looked_up(missing))
        assert done.returncode == 0, done.stderr
        more = json.loads((folder / "cdk.out" / "manifest.json").read_text()).get("missing", [])
        missing += [one for one in more if one not in missing]
    return missing


def cli(folder, context):
    return run(
        folder,
        str(CDK), "synth", "--quiet", "--no-notices", "--no-color",
        "--app", f"{sys.executable} {APP}",
        context=context,
    )  # fmt: skip


def test_the_pinned_cli_synthesises_with_all_looked_up(whole_context, tmp_path):
    done = cli(tmp_path, looked_up(whole_context))
    assert done.returncode == 0, done.stdout + done.stderr


WRONG = {
    "vpc": ("vpc-1", "vpc_id must be"),
    "zone": ("zone-1", "hosted_zones must"),
    "name": ("orders/x", "cluster_name must"),
    "endpoint": ("http://x", "endpoint must"),
    "issuer": ("http://oidc.example.com", "issuer_url must start with https://"),
    "other": ("oidc.example.com:8443", "issuer_url must have no port"),
    "thumbprint": ("06:b2", "must be 40"),
    "namespace": ("Shop", "namespace must be"),
    "role-name": ("a b", "role_name of Reader must"),
    "description": ("\u4e2d", "description of Reader must"),
}


@pytest.mark.parametrize(("name", "value", "rule"), [(k, *v) for k, v in WRONG.items()], ids=WRONG)
def test_a_wrong_value_is_refused_once_it_is_looked_up(whole_context, tmp_path, name, value, rule):
    done = run(
        tmp_path, sys.executable, str(APP), context=looked_up(whole_context, **{name: value})
    )
    assert done.returncode != 0
    assert rule in done.stderr
