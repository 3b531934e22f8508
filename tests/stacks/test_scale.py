"""A thousand service accounts: the app as it is run, by the real CLI, past one stack."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from tests.support.templates import ENVIRONMENTS, REPOSITORY
from tests.support.trust_resolver import COMMERCIAL, Deployment

COUNT = 1_000
CDK = REPOSITORY / "node_modules" / ".bin" / "cdk"
CLUSTER_ID = "0123456789ABCDEF0123456789ABCDEF"
ISSUERS = {
    "dev": f"oidc.eks.eu-west-1.amazonaws.com/id/{CLUSTER_ID}",
    "existing-cluster": f"oidc.eks.eu-central-1.amazonaws.com/id/{CLUSTER_ID}",
}


def accounts(count):
    return [
        {
            "namespace": f"team-{number % 7}",
            "name": f"account-{number:04}",
            "statements": [
                {
                    "actions": ["sqs:SendMessage"],
                    "resources": [f"arn:aws:sqs:eu-west-1:111122223333:account-{number:04}"],
                }
            ],
        }
        for number in range(count)
    ]


def identities(count):
    return {(one["namespace"], one["name"]) for one in accounts(count)}


def write_environment(folder, base, count, stacks=1):
    """An app folder whose one environment is a shipped one, with other accounts."""
    document = yaml.safe_load((ENVIRONMENTS / f"{base}.yaml").read_text())
    document |= {"service_accounts": accounts(count), "service_account_stacks": stacks}
    (folder / "environments").mkdir(parents=True)
    (folder / "environments" / "many.yaml").write_text(yaml.safe_dump(document))
    (folder / "cdk.json").write_bytes((REPOSITORY / "cdk.json").read_bytes())
    (folder / "cdk.context.json").write_bytes((REPOSITORY / "cdk.context.json").read_bytes())
    return folder


def cdk(folder, *arguments, validation="false"):
    """What the real CLI tells of the app, and the most memory that all its processes held."""
    process = subprocess.Popen(
        [
            CDK, *arguments, "--no-notices", "--no-color", "--context", "environment=many",
            "--app", f"{sys.executable} {REPOSITORY / 'app.py'}",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "CDK_VALIDATION": validation},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    finished, most = threading.Event(), 0

    def watch():
        nonlocal most
        while not finished.wait(0.05):
            most = max(most, memory(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    told, _ = process.communicate()
    finished.set()
    watcher.join()
    assert process.returncode == 0, told
    return told, most


def memory(session):
    """Bytes that every process of a session holds, each shared page counted once."""
    kilobytes = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            if (process / "stat").read_text().rpartition(")")[2].split()[3] == str(session):
                rollup = (process / "smaps_rollup").read_text()
                kilobytes += int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1])
    return kilobytes * 1_024


class Synthesised:
    """What one `cdk synth` left."""

    def __init__(self, folder, base):
        write_environment(folder, base, COUNT, stacks=3)
        validation = "true" if base == "dev" else "false"
        _, self.memory = cdk(folder, "synth", "--quiet", validation=validation)
        self.issuer = ISSUERS[base]
        self.files = sorted((folder / "cdk.out").glob("*.template.json"))
        self.templates = {
            path.name.removesuffix(".template.json"): json.loads(path.read_text())
            for path in self.files
        }
        self.deployment = Deployment(self.templates, COMMERCIAL)


@pytest.fixture(scope="module", params=ISSUERS)
def many(request, tmp_path_factory):
    return Synthesised(tmp_path_factory.mktemp("many"), request.param)


@pytest.fixture(scope="module")
def roles(many):
    """Trust policy of each role of the file's accounts, by namespace and name."""
    found = {}
    for role in many.deployment.web_identity_roles().values():
        identity = (role.tags["ServiceAccountNamespace"], role.tags["ServiceAccountName"])
        assert identity not in found
        found[identity] = role.document
    return {identity: found[identity] for identity in found.keys() & identities(COUNT)}


def test_every_account_has_one_role(roles):
    assert roles.keys() == identities(COUNT)


def test_every_role_trusts_its_account_and_nobody_else(many, roles):
    provider = COMMERCIAL.arn(f"oidc-provider/{many.issuer}")
    for (namespace, name), document in roles.items():
        assert document == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": provider},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {
                        "StringEquals": {
                            f"{many.issuer}:aud": "sts.amazonaws.com",
                            f"{many.issuer}:sub": f"system:serviceaccount:{namespace}:{name}",
                        }
                    },
                }
            ],
        }


def test_every_account_is_bound_once(many):
    bound = [
        key
        for stack, _, batch in many.deployment.resources("Custom::ServiceAccounts")
        for key in many.deployment.value(stack, batch["Properties"]["ServiceAccounts"])
    ]
    assert len(set(bound)) == len(bound)
    assert {f"{namespace}/{name}" for namespace, name in identities(COUNT)} <= set(bound)


def test_every_stack_is_within_cloudformations_limits(many):
    assert max(len(template["Resources"]) for template in many.templates.values()) <= 500
    assert max(len(template.get("Outputs", ())) for template in many.templates.values()) <= 200
    assert max(path.stat().st_size for path in many.files) < 1_000_000


def test_it_takes_less_than_a_gigabyte(many):
    assert many.memory < 1_000_000_000


@pytest.fixture(scope="module")
def difference(tmp_path_factory):
    """What `cdk diff` tells of an eleventh account, against the template of ten."""
    before, after = (
        write_environment(tmp_path_factory.mktemp(f"accounts-{count}"), "existing-cluster", count)
        for count in (10, 11)
    )
    cdk(before, "synth", "--quiet")
    [template] = (before / "cdk.out").glob("*.template.json")
    stack = template.name.removesuffix(".template.json")
    told, _ = cdk(after, "diff", stack, "--template", str(template))
    return told[told.index("Resources") :].splitlines()


def test_an_account_more_is_its_role_and_one_line_of_their_binding(difference):
    changes = [re.sub(r" ServiceAccounts\w{9,}$", "", line) for line in difference if "[" in line]
    assert changes[:4] == [
        "[+] AWS::IAM::Role ServiceAccounts/team-3.account-0010/Default",
        "[~] Custom::ServiceAccounts ServiceAccounts/Bindings/Batch0",
        " └─ [~] ServiceAccounts",
        "     └─ [+] Added: .team-3/account-0010",
    ]
    assert changes[4].startswith("[+] Output RoleArnTeam3Account0010")
    assert len(changes) == 5
