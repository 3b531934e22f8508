"""Every environment as a user synthesises it: the pinned CLI, `app.py`, the review on."""

import os
import subprocess
import sys

import pytest
import yaml

from tests.support.environment_files import ABSENT, changed
from tests.support.templates import ENVIRONMENTS, NAMES, REPOSITORY

CDK = REPOSITORY / "node_modules" / ".bin" / "cdk"
NODES = [
    {"name": "general", "instance_types": ["m7i.large"]},
    {"name": "arm", "instance_types": ["m7g.large"], "architecture": "arm64"},
    {"name": "rocket", "instance_types": ["m7i.large"], "ami_family": "BOTTLEROCKET"},
    {
        "name": "rocket-arm",
        "instance_types": ["m7g.large"],
        "ami_family": "BOTTLEROCKET",
        "architecture": "arm64",
    },
]
VARIANTS = {
    "private endpoint only": ("dev", {"cluster.new.endpoint": {"public": False}}),
    "public endpoint for some": (
        "dev",
        {"cluster.new.endpoint": {"public_cidrs": ["203.0.113.0/24"]}},
    ),
    "existing cluster with private subnets": (
        "existing-cluster",
        {
            "cluster.existing.private_subnets": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"],
            "cluster.existing.zones": ["eu-central-1a", "eu-central-1b"],
            "cluster.existing.security_groups": ["sg-0a1b2c3d"],
        },
    ),
    "existing VPC by id": (
        "dev",
        {
            "region": "eu-west-1",
            "account": "111122223333",
            "cluster.new.vpc": {
                "id": "vpc-0123456789abcdef0",
                "zones": ["eu-west-1a", "eu-west-1b"],
                "private_subnets": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"],
            },
        },
    ),
    "existing VPC and private endpoint": (
        "dev",
        {
            "cluster.new.endpoint": {"public": False},
            "cluster.new.vpc": {
                "id": "vpc-0123456789abcdef0",
                "zones": ["eu-west-1a", "eu-west-1b"],
                "private_subnets": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"],
            },
        },
    ),
    "add-on": ("dev", {"vpc_cni": "addon"}),
    "every kind of node group": ("dev", {"nodes": NODES}),
}


def synthesise(folder, document, *, validation):
    """Run `cdk synth` on an app folder with that one environment."""
    (folder / "environments").mkdir()
    (folder / "environments" / "tried.yaml").write_text(yaml.safe_dump(document))
    for name in ("cdk.json", "cdk.context.json"):
        (folder / name).write_bytes((REPOSITORY / name).read_bytes())
    return subprocess.run(
        [
            CDK, "synth", "--quiet", "--no-notices", "--no-color", "--context", "environment=tried",
            "--app", f"{sys.executable} {REPOSITORY / 'app.py'}",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "CDK_VALIDATION": validation},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def document_of(name):
    return yaml.safe_load((ENVIRONMENTS / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_environment_synthesises_with_the_review_on(name, tmp_path):
    run = synthesise(tmp_path, document_of(name), validation="true")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(("base", "changes"), VARIANTS.values(), ids=VARIANTS)
def test_a_variant_synthesises_with_the_review_on(base, changes, tmp_path):
    run = synthesise(tmp_path, changed(document_of(base), changes), validation="false")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "WARNING" not in run.stdout + run.stderr, "nobody could act on it: bugs.md F28"


def test_a_wildcard_that_nobody_explained_fails_the_synth(tmp_path):
    document = changed(document_of("dev"), {"service_accounts.0.review_note": ABSENT})
    run = synthesise(tmp_path, document, validation="false")
    assert run.returncode != 0
    assert "service_accounts[0].review_note must be given with wildcards" in run.stderr
    assert "Traceback" not in run.stderr
