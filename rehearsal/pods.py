"""Pods, and what their containers would see: their environment and their projected tokens."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearsal.kubernetes import Cluster

_SECONDS = 60


def create_pod(cluster: Cluster, name: str, *, namespace: str, service_account: str) -> None:
    """Create a pod and wait until it runs."""
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "serviceAccountName": service_account,
                "containers": [{"name": "app", "image": "registry.invalid/app:1"}],
            },
        }
    )
    cluster.kubectl(
        "wait",
        "--for=condition=Ready",
        f"pod/{name}",
        f"--namespace={namespace}",
        f"--timeout={_SECONDS}s",
    )


def run_in_pod(
    cluster: Cluster,
    name: str,
    *,
    namespace: str,
    folder: Path,
    program: str,
    environment: Mapping[str, str],
) -> "subprocess.CompletedProcess[str]":
    """Run a Python program as a pod's first container: its environment, its projected tokens.

    Args:
        cluster: the pod's cluster.
        name: of the pod.
        namespace: of the pod.
        folder: takes the place of the container's file system.
        program: Python source; boto3 is there.
        environment: variables that the image would set.
    """
    pod = cluster.get("pod", name, namespace=namespace)
    container = pod["spec"]["containers"][0]
    variables = {item["name"]: item.get("value", "") for item in container.get("env", [])}
    for inside, file in _projected_tokens(cluster, pod, folder).items():
        variables = {key: value.replace(inside, str(file)) for key, value in variables.items()}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_EC2_METADATA_DISABLED": "true",
            **environment,
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def _projected_tokens(cluster: Cluster, pod: dict[str, Any], folder: Path) -> dict[str, Path]:
    """Write the tokens as the kubelet does, through TokenRequest; return path inside -> file."""
    spec, metadata = pod["spec"], pod["metadata"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    files: dict[str, Path] = {}
    for volume in spec["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            wanted = source.get("serviceAccountToken", {})
            if "audience" not in wanted or volume["name"] not in mounts:
                continue
            inside = f"{mounts[volume['name']]}/{wanted['path']}"
            files[inside] = folder / inside.lstrip("/")
            files[inside].parent.mkdir(parents=True)
            files[inside].write_text(
                cluster.token(
                    spec["serviceAccountName"],
                    namespace=metadata["namespace"],
                    audience=wanted["audience"],
                    pod=metadata["name"],
                )
            )
    return files
