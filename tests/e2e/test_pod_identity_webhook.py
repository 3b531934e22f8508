"""The webhook's double does to a pod what the real program did to it.

`recorded_role_injection.json` has what amazon-eks-pod-identity-webhook answered, a line for each
case. With POD_IDENTITY_WEBHOOK (see rehearsal/pod_identity.py) these tests ask the real
program again, and with UPDATE_RECORDING=1 its answers are recorded.
"""

import itertools
import json
import os
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.kubernetes import Cluster, control_plane
from rehearsal.pod_identity import SKIP, pod_identity_webhook
from rehearsal.role_injection import VOLUME

Object = dict[str, Any]

RECORDING = Path(__file__).with_name("recorded_role_injection.json")
NAMESPACE = "cases"
ROLE = {"role-arn": "arn:aws:iam::111122223333:role/reader"}
WATCH_SECONDS = 30.0

INTEGERS = (
    *("600", "599", "0", "-1", "900", "86400", "86401", "604800", "4294967297"),
    *("abc", "", "1e3", "900.0", " 900", "900 ", "+900", "0900", "9_00", "9223372036854775808"),
)
BOOLEANS = ("true", "false", "True", "FALSE", "t", "0", "1", "F", "yes", "", " false")
VARIABLES = (
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_STS_REGIONAL_ENDPOINTS"),
)


def container(name: str = "app", *variables: str, **fields: Any) -> Object:
    env = [{"name": variable, "value": "own"} for variable in variables]
    return {"name": name, "image": "registry.invalid/app:1", "env": env, **fields}


def pod(*containers: Object, annotations: Object | None = None, **fields: Any) -> Object:
    labels = fields.pop("labels", {})
    return {
        "metadata": {
            "labels": labels,
            "annotations": {
                f"eks.amazonaws.com/{key}": annotations[key] for key in annotations or ()
            },
        },
        "spec": {"containers": list(containers) or [container()], **fields},
    }


def cases() -> Iterator[tuple[str, Object, Object]]:
    """What is asked: its name, the account's annotations, the pod."""
    yield "no annotation", {}, pod()
    yield "no role, but more", {"audience": "a", "token-expiration": "900"}, pod()
    for arn in (
        "",
        "reader",
        "arn:aws-cn:iam::111122223333:role/path/reader",
        " ",
        "arn:aws:s3:::b",
    ):
        yield f"role-arn={arn!r}", {"role-arn": arn}, pod()
    for audience in ("sts.amazonaws.com", "other", ""):
        yield f"audience={audience!r}", {**ROLE, "audience": audience}, pod()
    for value in BOOLEANS:
        yield f"sts-regional-endpoints={value!r}", {**ROLE, "sts-regional-endpoints": value}, pod()
    for value in INTEGERS:
        annotation = {"token-expiration": value}
        yield f"account's token-expiration={value!r}", ROLE | annotation, pod()
        yield f"pod's token-expiration={value!r}", ROLE, pod(annotations=annotation)
        yield (
            f"pod's token-expiration={value!r} after the account's 7200",
            {**ROLE, "token-expiration": "7200"},
            pod(annotations=annotation),
        )
    both = (container("app"), container("sidecar"))
    for names in (
        "app",
        "sidecar",
        "app,sidecar",
        "app, sidecar",
        '"app"',
        "",
        "none",
        "app,",
        "app\nsidecar",
    ):
        yield f"skip-containers={names!r}", ROLE, pod(*both, annotations={"skip-containers": names})
    first = {"initContainers": [container("first"), container("second", "AWS_ROLE_ARN")]}
    yield "init containers", ROLE, pod(**first)
    yield "skips an init container", ROLE, pod(annotations={"skip-containers": "first"}, **first)
    for count in range(len(VARIABLES) + 1):
        for present in itertools.combinations(VARIABLES, count):
            named = " ".join(present) or "no variable"
            yield f"{named} present", ROLE, pod(container("app", *present))
            yield (
                f"{named} present, global STS",
                {**ROLE, "sts-regional-endpoints": "false"},
                pod(container("app", *present)),
            )
    full = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    yield "credentials of Pod Identity present", ROLE, pod(container("app", full))
    yield "other variables stay first", ROLE, pod(container("app", "A", "B"))
    files, token = {"name": "files", "emptyDir": {}}, {"name": VOLUME, "emptyDir": {}}
    mount = {"name": "files", "mountPath": "/files"}
    yield "other volumes", ROLE, pod(container(volumeMounts=[mount]), volumes=[files])
    yield "a volume of the same name", ROLE, pod(volumes=[files, token])
    mount = {"name": VOLUME, "mountPath": "/elsewhere"}
    yield "a mount of the same name", ROLE, pod(container(volumeMounts=[mount]), volumes=[token])
    mount = {"name": "files", "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount"}
    yield "a mount at the same place", ROLE, pod(container(volumeMounts=[mount]), volumes=[files])
    for label in ("kubernetes.io/os", "beta.kubernetes.io/os"):
        for system in ("windows", "linux", "Windows"):
            yield f"{label}={system}", ROLE, pod(nodeSelector={label: system})
    yield "the label that skips a pod", ROLE, pod(labels={SKIP: "true"})
    yield "the label with an empty value", ROLE, pod(labels={SKIP: ""})


CASES = list(cases())


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Object]]:
    """What each case's pod would be, by the case's name."""
    folder = tmp_path_factory.mktemp("webhook")
    with (
        control_plane(folder / "run") as cluster,
        pod_identity_webhook(cluster, region="eu-west-1"),
    ):
        cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for position, (_, annotations, _) in enumerate(CASES):
            create_account(cluster, f"case-{position}", annotations)
        create_account(cluster, "last", ROLE)
        # The real program learns of accounts by a watch, in the order in which they are made.
        deadline = time.monotonic() + WATCH_SECONDS
        while not dry_run(cluster, pod(), "last")["volumes"]:
            assert time.monotonic() < deadline, "the webhook does not answer"
            time.sleep(0.1)
        found = {
            name: dry_run(cluster, asked, f"case-{position}")
            for position, (name, _, asked) in enumerate(CASES)
        }
    if os.environ.get("UPDATE_RECORDING"):
        record(found)
    return found


def create_account(cluster: Cluster, name: str, annotations: Object) -> None:
    metadata = {
        "name": name,
        "annotations": {f"eks.amazonaws.com/{key}": annotations[key] for key in annotations},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    cluster.request("POST", path, {"metadata": metadata})


def dry_run(cluster: Cluster, asked: Object, account: str) -> Object:
    """Return what the pod would be, or what the API server refuses in it."""
    body = {
        "metadata": {**asked["metadata"], "name": "asked"},
        "spec": {
            **asked["spec"],
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
        },
    }
    try:
        made = cluster.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All", body)
    except urllib.error.HTTPError as refusal:
        causes = json.load(refusal)["details"]["causes"]
        return {"refused": [cause["field"] for cause in causes]}
    spec = made["spec"]
    return {
        "volumes": spec.get("volumes", []),
        **{
            each["name"]: {
                "env": [
                    f"{variable['name']}={variable.get('value', '')}"
                    for variable in each.get("env", [])
                ],
                "mounts": each.get("volumeMounts", []),
            }
            for each in [*spec.get("initContainers", []), *spec["containers"]]
        },
    }


def record(found: dict[str, Object]) -> None:
    program = os.environ.get("POD_IDENTITY_WEBHOOK")
    assert program, "only the real program is recorded; set POD_IDENTITY_WEBHOOK"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    lines = [
        f"{json.dumps(name)}: {json.dumps(content, sort_keys=True)}"
        for name, content in {"(version)": version.stdout.strip(), **found}.items()
    ]
    RECORDING.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def test_the_recording_has_the_cases_and_no_others():
    assert set(json.loads(RECORDING.read_text())) == {"(version)", *(name for name, _, _ in CASES)}


@pytest.mark.parametrize("name", [name for name, _, _ in CASES])
def test_a_pod_becomes_what_the_real_webhook_made_of_it(answers, name):
    assert answers[name] == json.loads(RECORDING.read_text())[name]
