"""aws-node's transaction against a small API server; on a real one see tests/e2e/kubernetes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from aws_node import node_roles, on_event, rebinding
from aws_node.rebinding import ACCOUNT, DAEMON_SET, DETACHED, PODS
from custom_resource import Deadline, Failure, Request
from kubernetes_api.restart import TEMPLATE_ROLE
from tests.support.api_server import ApiServer, Reply, refusal
from tests.support.binder import ROLE
from tests.support.cloudformation import STACK_ID, Context, ResponseUrl
from tests.support.iam_recorder import CNI_POLICY, RecordingIam

if TYPE_CHECKING:
    from custom_resource import Answer

OWN = "arn:aws:iam::111122223333:role/aws-node"
OTHER = "arn:aws:iam::111122223333:role/other"


@dataclasses.dataclass
class World:
    """A cluster with one node, whose webhook and controller are as quick as can be."""

    server: ApiServer
    iam: RecordingIam
    refused: dict[tuple[str, str], Reply] = dataclasses.field(default_factory=dict)
    webhook: bool = True

    def __post_init__(self) -> None:
        self.server.put(ACCOUNT, {})
        status = {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}
        spec = {"selector": {"matchLabels": {"k8s-app": "aws-node"}}, "template": {}}
        body = {"kind": "DaemonSet", "spec": spec, "status": {"observedGeneration": 99, **status}}
        self.server.put(DAEMON_SET, body)
        self.server.trouble = self._trouble

    def _trouble(self, method: str, path: str) -> Reply | None:
        if path == PODS and DAEMON_SET in self.server.objects:
            self._make_pod()
        return self.refused.get((method, path))

    def _make_pod(self) -> None:
        role = self.annotations.get(ROLE)
        env = [
            {"name": "AWS_ROLE_ARN", "value": role},
            {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/token"},
        ]
        owner = {"uid": self.server.objects[DAEMON_SET]["metadata"]["uid"]}
        container = {"name": "aws-node", "env": env if role and self.webhook else []}
        body = {
            "metadata": {"ownerReferences": [owner]},
            "spec": {"nodeName": "node", "containers": [container]},
        }
        self.server.put(f"{PODS}/aws-node-1", body)

    @property
    def annotations(self) -> dict[str, str]:
        """The account's."""
        metadata = self.server.objects.get(ACCOUNT, {"metadata": {}})["metadata"]
        return dict(metadata.get("annotations", {}))

    @property
    def template_role(self) -> str | None:
        """The DaemonSet's."""
        template = self.server.objects[DAEMON_SET]["spec"]["template"]
        role: str | None = template.get("metadata", {}).get("annotations", {}).get(TEMPLATE_ROLE)
        return role

    def state(self) -> tuple[dict[str, str], str | None, dict[str, list[str]]]:
        """All that the transaction may touch."""
        return self.annotations, self.template_role, {k: [*v] for k, v in self.iam.roles.items()}

    def deploy(self, kind: str, *, old: dict[str, Any] | None = None, **given: Any) -> Answer:
        """One event."""
        request = Request(
            type=kind,
            physical_id=None if kind == "Create" else "cluster/aws-node",
            properties=self.properties(**given),
            old_properties={} if old is None else self.properties(**old),
            stack_id=STACK_ID,
            logical_id="AwsNode",
            request_id="1",
        )
        return on_event.work(request, Deadline(20))

    def properties(self, **given: Any) -> dict[str, Any]:
        """What the construct passes, less what is given."""
        return {
            "Cluster": self.server.connection,
            "RoleArn": OWN,
            "NodeRoleNames": ["nodes", "spot"],
            "PolicyArns": [CNI_POLICY],
            "RolloutTimeoutSeconds": "0.5",
            **given,
        }


@pytest.fixture
def world(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> World:
    iam = RecordingIam(nodes=[CNI_POLICY], spot=[CNI_POLICY])
    monkeypatch.setattr(node_roles, "iam_client", lambda: iam)
    monkeypatch.setattr(rebinding, "IAM_SETTLE_SECONDS", 0.01)
    return World(server, iam)


def test_moves_and_moves_back(world: World) -> None:
    before = world.state()

    answer = world.deploy("Create")
    moved = world.state()
    world.deploy("Delete")

    assert answer.data == {"NodesChecked": "1", "RoleSeen": OWN, "DetachedFrom": "nodes,spot"}
    assert moved[0][ROLE] == OWN
    assert moved[1:] == (OWN, {"nodes": [], "spot": []})
    assert world.state() == before


def test_answers_cloudformation(world: World) -> None:
    event = {
        "RequestType": "Create",
        "StackId": STACK_ID,
        "LogicalResourceId": "AwsNode",
        "RequestId": "1",
        "ResourceProperties": world.properties(),
    }
    with ResponseUrl() as url:
        on_event.handle({**event, "ResponseURL": url.url}, Context())

    assert url.puts[0].response["PhysicalResourceId"] == "cluster/aws-node"


def test_the_same_again_writes_nothing(world: World) -> None:
    world.deploy("Create")
    before = len(world.server.writes)

    world.deploy("Update", old={})

    assert len(world.server.writes) == before


def test_a_retry_of_the_creation_verifies_again(world: World) -> None:
    world.deploy("Create")
    world.webhook = False

    with pytest.raises(Failure, match="verify the pods"):
        world.deploy("Create")


def test_a_node_role_that_is_no_longer_asked_for_gets_the_policy_back(world: World) -> None:
    world.deploy("Create")

    world.deploy("Update", NodeRoleNames=["nodes"], RoleArn=OTHER, old={})

    assert world.iam.roles == {"nodes": [], "spot": [CNI_POLICY]}
    assert world.annotations[DETACHED] == f'{{"nodes":["{CNI_POLICY}"]}}'


def test_an_annotation_that_somebody_changed_is_left_alone(world: World) -> None:
    world.deploy("Create")
    world.server.edit(ACCOUNT, {"metadata": {"annotations": {ROLE: OTHER}}})

    answer = world.deploy("Update", old={})

    assert answer.data == {"NodesChecked": "0", "RoleSeen": OTHER, "DetachedFrom": "nodes,spot"}
    assert world.template_role == OWN


@pytest.mark.parametrize(
    ("request_refused", "step"),
    [
        (("PATCH", ACCOUNT), "annotate the service account"),
        (("PATCH", DAEMON_SET), "restart aws-node"),
        (("GET", PODS), "verify the pods"),
    ],
)
def test_a_refusal_names_the_step_and_undoes(
    world: World, request_refused: tuple[str, str], step: str
) -> None:
    world.refused[request_refused] = refusal(400, "BadRequest", "not today")

    with pytest.raises(Failure, match=rf"step '{step}' failed: .*not today"):
        world.deploy("Create")

    assert ROLE not in world.annotations
    assert world.iam.calls == []


def test_a_denied_detachment_gives_the_first_one_back(world: World) -> None:
    before = world.state()
    world.iam.denied.add("DetachRolePolicy spot")

    with pytest.raises(Failure, match=r"could not detach .* from the node role spot: IAM says"):
        world.deploy("Create")

    assert world.state() == before


def test_what_cannot_be_undone_is_told(world: World) -> None:
    world.iam.denied |= {"DetachRolePolicy spot", "AttachRolePolicy"}
    world.refused["PATCH", DAEMON_SET] = refusal(400, "BadRequest", "frozen")
    world.server.objects[DAEMON_SET]["spec"]["template"] = {
        "metadata": {"annotations": {TEMPLATE_ROLE: OWN}}
    }

    with pytest.raises(Failure, match=r"could not attach .* to the node role nodes"):
        world.deploy("Create")


def test_a_restart_that_cannot_be_undone_is_told(world: World) -> None:
    world.webhook = False
    patches: list[str] = []
    trouble = world._trouble

    def once(method: str, path: str) -> Reply | None:
        if (method, path) == ("PATCH", DAEMON_SET):
            patches.append(path)
            if len(patches) == 2:
                return refusal(400, "BadRequest", "frozen")
        return trouble(method, path)

    world.server.trouble = once

    with pytest.raises(Failure, match=r"aws-node could not be put back: .*frozen"):
        world.deploy("Create")


def test_a_bug_is_undone_too_and_stays_a_bug(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise KeyError("bug")

    monkeypatch.setattr(rebinding, "faults_of", broken)

    with pytest.raises(KeyError):
        world.deploy("Create")

    assert ROLE not in world.annotations


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda world: world.server.objects.pop(DAEMON_SET), "install the VPC CNI first"),
        (
            lambda world: world.server.objects[DAEMON_SET]["spec"].update(
                updateStrategy={"type": "OnDelete"}
            ),
            "RollingUpdate",
        ),
        (lambda world: world.server.objects.pop(ACCOUNT), "must exist to be adopted"),
        (lambda world: world.iam.roles.pop("spot"), "NoSuchEntity"),
        (lambda world: world.iam.denied.add("ListAttachedRolePolicies"), "AccessDenied"),
    ],
)
def test_refuses_before_writing(world: World, change: Any, told: str) -> None:
    change(world)

    with pytest.raises(Failure, match=told):
        world.deploy("Create")

    assert world.server.writes == []


def test_refuses_without_a_role(world: World) -> None:
    with pytest.raises(Failure, match="RoleArn must be given"):
        world.deploy("Create", RoleArn="")


@pytest.mark.parametrize("gone", [[ACCOUNT], [DAEMON_SET], [ACCOUNT, DAEMON_SET]])
def test_deletes_though_objects_are_gone(world: World, gone: list[str]) -> None:
    world.deploy("Create")
    for path in gone:
        del world.server.objects[path]

    world.deploy("Delete")

    without_aws_node = gone == [ACCOUNT, DAEMON_SET]
    assert world.iam.roles["nodes"] == ([] if without_aws_node else [CNI_POLICY])


def test_deletes_though_a_node_role_is_gone(world: World) -> None:
    world.deploy("Create")
    del world.iam.roles["spot"]

    world.deploy("Delete")

    assert world.iam.roles == {"nodes": [CNI_POLICY]}


def test_deletes_though_it_may_no_longer_look_at_node_roles(world: World) -> None:
    world.iam.denied.add("ListAttachedRolePolicies")

    assert world.deploy("Delete").physical_id == "cluster/aws-node"


def test_an_unreadable_journal_is_no_journal(world: World) -> None:
    world.deploy("Create")
    world.server.objects[ACCOUNT]["metadata"]["annotations"][DETACHED] = "{"

    world.deploy("Delete")

    assert world.annotations == {}


def test_deleting_what_was_malformed_is_success(world: World) -> None:
    world.deploy("Delete", RoleArn="")

    assert world.server.requests == []


@pytest.mark.parametrize("gone", [True, False])
def test_an_unreachable_cluster_is_success_only_when_it_is_gone(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    gone: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(on_event, "is_gone", lambda _: gone)
    down = {**world.server.connection, "Endpoint": "https://127.0.0.1:1"}

    if gone:
        assert world.deploy("Delete", Cluster=down)
    else:
        with pytest.raises(Failure, match="attach the CNI policy to the node roles yourself"):
            world.deploy("Delete", Cluster=down)
