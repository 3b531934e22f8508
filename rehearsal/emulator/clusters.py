"""EKS clusters with an issuer of AWS's shape, and the real control plane behind the first of them.

The issuer is `https://oidc.eks.<region>.amazonaws.com/id/<32 hex>`; its documents are public, on
a host of their own. The first cluster takes the issuer that the run prepared, because an API
server that already runs signs with its key; any other cluster gets a new one.
"""

import contextvars
import re
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch_logs, ec2, eks

from rehearsal.emulator import slowness
from rehearsal.emulator.service_actions import query_action
from rehearsal.emulator.settings import AttachedControlPlane, Settings
from rehearsal.key_set import key_set
from rehearsal.kubernetes import create_signing_key

REVIEW_PATH = "/_rehearsal/token-review/"

_COMMAND_SECONDS = 60
_ACTIVE_SECONDS = 10.0
_OIDC_PATH = re.compile(r"/id/([A-F0-9]{32})(/\.well-known/openid-configuration|/keys)")


@dataclass
class _State:
    """What this process knows of clusters beyond the emulator."""

    keys: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    attached_arn: str = ""


_state = _State()
_create_cluster = eks._create_cluster
_delete_cluster = eks._delete_cluster


def install(settings: Settings) -> None:
    """Give clusters their issuers, and the first one its control plane."""
    _state.keys[settings.issuer_id] = _public_key(settings, settings.issuer_id)

    def new_issuer_id() -> str:
        if not any(issuer.endswith(settings.issuer_id) for issuer in _issuers()):
            return settings.issuer_id
        issuer_id = secrets.token_hex(16).upper()
        create_signing_key(settings.signing_keys / f"{issuer_id}.pem")
        _state.keys[issuer_id] = _public_key(settings, issuer_id)
        return issuer_id

    eks._new_oidc_id = new_issuer_id
    eks._issuer_url = issuer_url
    eks._create_cluster = create_cluster
    eks._delete_cluster = delete_cluster
    if settings.control_plane:
        _attach(settings.control_plane)


def create_cluster(body: dict[str, Any], creator_arn: str | None = None) -> Any:
    """Create a cluster and, as EKS does, the security group of its network interfaces.

    See: https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html
    """
    response = _create_cluster(body, creator_arn)
    record = eks._clusters.get(body.get("name", ""))
    if record is not None:
        network = record["resourcesVpcConfig"]
        subnet = ec2._subnets.get(next(iter(network.get("subnetIds") or []), "")) or {}
        network["vpcId"] = subnet.get("VpcId", network["vpcId"])
        created = query_action(
            "Ec2",
            ec2._ACTION_MAP["CreateSecurityGroup"],
            GroupName=f"eks-cluster-sg-{record['name']}-{secrets.randbelow(10**9)}",
            GroupDescription="EKS created security group applied to ENI",
            VpcId=network["vpcId"],
        )
        network["clusterSecurityGroupId"] = created.findtext(".//groupId")
    return response


def delete_cluster(name: str) -> Any:
    """Delete a cluster and its security group; its last logs may come later.

    See: https://github.com/terraform-aws-modules/terraform-aws-eks/issues/920
    """
    record = eks._clusters.get(name)
    response = _delete_cluster(name)
    if record is None:
        return response
    ec2._security_groups.pop(record["resourcesVpcConfig"]["clusterSecurityGroupId"], None)
    seconds = slowness.current().log_group
    logging = record.get("logging", {}).get("clusterLogging", [])
    if seconds is not None and any(kind["enabled"] for kind in logging):
        group = {"logGroupName": f"/aws/eks/{name}/cluster"}
        context = contextvars.copy_context()
        make = cloudwatch_logs._create_log_group
        threading.Timer(seconds, context.run, (make, group)).start()
    return response


def issuer_url(issuer_id: str) -> str:
    """Return the issuer of a cluster in the request's region."""
    return f"https://oidc.eks.{get_region()}.amazonaws.com/id/{issuer_id}"


def oidc_document(path: str) -> dict[str, Any] | None:
    """Return the discovery document or the key set of a cluster that exists, or nothing.

    See: https://openid.net/specs/openid-connect-discovery-1_0.html
    """
    match = _OIDC_PATH.fullmatch(path)
    if match is None:
        return None
    issuer_id, document = match.groups()
    issuer = next((issuer for issuer in _issuers() if issuer.endswith(f"/id/{issuer_id}")), None)
    if issuer is None:
        return None
    if document == "/keys":
        return key_set(_state.keys[issuer_id])
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/keys",
        "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "claims_supported": ["sub", "iss"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def name_reviewed_cluster(scope: dict[str, Any]) -> dict[str, Any]:
    """Lead a TokenReview of the API server to the cluster that it became.

    The server starts before there is a cluster, so that it cannot name one in its requests.
    """
    if not scope["path"].startswith(REVIEW_PATH) or not _state.attached_arn:
        return scope
    # arn:aws:eks:<region>:<account>:cluster/<name>
    _arn, _partition, _service, region, account, cluster = _state.attached_arn.split(":")
    name = cluster.removeprefix("cluster/")
    secret = scope["path"].removeprefix(REVIEW_PATH)
    path = f"/_ministack/eks-auth/{account}/{region}/{name}/{secret}"
    return {**scope, "path": path, "raw_path": path.encode()}


class ControlPlaneContainer:
    """What ministack's EKS takes for the container of its control plane.

    It copies a CA certificate out of it and runs kubectl in it, to turn access policies into RBAC;
    both meet the run's control plane instead.
    """

    id = "rehearsal"

    def __init__(self, control_plane: AttachedControlPlane) -> None:
        self._certificate = Path(control_plane.certificate_authority)
        kubectl = Path(control_plane.kubectl)
        self._environment = {
            "PATH": f"{kubectl.parent}:/usr/bin:/bin",
            "HOME": str(self._certificate.parent),
            "KUBECONFIG": control_plane.admin_kubeconfig,
        }

    @property
    def containers(self) -> "ControlPlaneContainer":
        """The Docker client's list of containers: this one."""
        return self

    def get(self, _container_id: str) -> "ControlPlaneContainer":
        """Return the container."""
        return self

    def exec_run(self, command: str | list[str]) -> tuple[int, bytes]:
        """Run a command "in the container"."""
        if isinstance(command, str):
            # The only text that the emulator sends: `cat .../server-ca.crt`.
            return 0, self._certificate.read_bytes()
        done = subprocess.run(
            command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def stop(self, **_options: Any) -> None:
        """Leave the control plane to the run, which looks into it after its cluster is gone."""

    def remove(self, **_options: Any) -> None:
        """Keep the control plane."""

    def withdraw_access(self) -> None:
        """Delete what access entries made in the control plane."""
        selector = f"--selector={eks._ACCESS_POLICY_BINDING_LABEL}=true"
        kinds = "rolebindings,clusterrolebindings"
        self.exec_run(["kubectl", "delete", kinds, selector, "--all-namespaces"])

    def list(self, **_options: Any) -> list[Any]:
        """Return no further containers."""
        return []


def _attach(control_plane: AttachedControlPlane) -> None:
    container = ControlPlaneContainer(control_plane)
    eks._get_docker = lambda: container
    eks._get_ministack_network = lambda _client: None
    eks._k3s_registries_yaml = lambda *_arguments: None
    eks._k3s_auth_webhook_config = lambda *_arguments: None
    eks._start_k3s_container = lambda *_arguments: container
    eks._cluster_endpoint = lambda _port: control_plane.endpoint

    def create_attached(body: dict[str, Any], creator_arn: str | None = None) -> Any:
        response = create_cluster(body, creator_arn)
        record = eks._clusters.get(body.get("name", ""))
        if record is not None:
            record["_auth_token"] = control_plane.review_secret
            _state.attached_arn = record["arn"]
            _wait_until_active(record)
        return response

    def delete_attached(name: str) -> Any:
        response = delete_cluster(name)
        # A thread may be at work on the access entries as they were; it starts no more after this.
        reconciler = (get_account_id(), get_region(), name)
        with eks._rbac_reconcile_locks.setdefault(reconciler, threading.Lock()):
            container.withdraw_access()
        return response

    eks._create_cluster = create_attached
    eks._delete_cluster = delete_attached


def _wait_until_active(record: dict[str, Any]) -> None:
    # The stack engine does not wait, and a stack reads endpoint and CA as soon as it returns.
    deadline = time.monotonic() + _ACTIVE_SECONDS
    while record["status"] == "CREATING" and time.monotonic() < deadline:
        time.sleep(0.01)


def _issuers() -> list[str]:
    return [record["identity"]["oidc"]["issuer"] for _key, record in eks._clusters.all_items()]


def _public_key(settings: Settings, issuer_id: str) -> rsa.RSAPublicKey:
    encoded = (settings.signing_keys / f"{issuer_id}.pem").read_bytes()
    key = serialization.load_pem_private_key(encoded, None).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError(f"{issuer_id}.pem must hold an RSA key, got {type(key).__name__}")
    return key
