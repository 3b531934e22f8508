"""The steps that move `aws-node` to a role of its own, and the steps back.

Each step looks first whether it is done already, so that an event can be repeated, or stopped
anywhere and undone by another. The order keeps one thing true at every moment: the node roles have
the CNI's policy, or every pod of `aws-node` runs as a role that has it.

Three rules keep it true while other events, or other people, work on the same objects. A change is
remembered before it is sent, so that undoing knows of it. A change of the account names the version
that it was decided on, and is decided again when that is no longer the one. Before a policy is
detached, and before the journal goes, the account is read again: an event that finds a newer one
stops, gives back what it detached, and leaves the rest to that.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_node.account import Account, Superseded
from aws_node.account_marks import (
    ACCOUNT,
    is_made_by,
    is_written,
    journal_of,
    marks_of,
    refusal,
    role_of,
    stamped,
    without_marks,
    without_role,
)
from aws_node.node_roles import NodeRoles
from aws_node.pods import (
    carries,
    credential_fault,
    is_of_template,
    nodes_of,
    pods_ending,
    pods_not_ready,
    pods_of,
    pods_without_role,
    running,
)
from aws_node.rebinding import Attachment
from aws_node.webhook import NotYetSeen, await_webhook
from custom_resource import Failure, OutOfTime, listed, log
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.owner import owner_of
from kubernetes_api.restart import TEMPLATE_ROLE, await_rollouts, template_role
from kubernetes_api.rollout import rolls_by_itself

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aws_node.rebinding import Rebinding
    from kubernetes_api.connection import Api
    from kubernetes_api.owner import Owner

_PODS = "/api/v1/namespaces/kube-system/pods"
_DAEMON_SET = "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node"
# What `kubectl rollout restart` sets.
_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
# EKS installs aws-node into a new cluster a moment after the cluster is ACTIVE.
APPEARANCE_SECONDS = 300.0
# An attached policy counts within seconds, and must before a pod relies on it.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
IAM_SETTLE_SECONDS = 10.0
# How long the pods that follow a role that was taken off are waited for.
_SETTLE_SECONDS = 60.0
_POLL_SECONDS = 2.0
# A pod takes a line.
_few = partial(listed, most=5)


@dataclass(frozen=True)
class Outcome:
    """What was found in the end."""

    nodes: tuple[str, ...]
    role_arn: str
    detached_from: tuple[str, ...]


class Transaction:
    """What one event does to the cluster's `aws-node` and to its node roles.

    Args:
        api: The cluster.
        owner: The custom resource for which we act.
        event: The id of its event.
    """

    def __init__(self, api: Api, owner: Owner, event: str) -> None:
        self._api = api
        self._owner = owner
        self._account = Account(api, owner, event)
        self._node_roles = NodeRoles(lambda: api.deadline)
        self._detached: set[Attachment] = set()
        self._writes = 0

    @property
    def writes(self) -> int:
        """How many changes were sent so far."""
        return self._writes + self._account.writes

    def bind(self, wanted: Rebinding, previous: Rebinding | None) -> Outcome:
        """Bring `aws-node` to its role, and only then take the policies off the node roles.

        Args:
            wanted: What is asked for.
            previous: What was bound before, None when nothing was.

        Raises:
            Failure: A step is refused or takes too long; says which.
        """
        with _step("find aws-node"):
            account, daemon_set = self._awaited_objects()
        with _step("read the policies of the node roles"):
            attached = self._attached(wanted, previous)
        if self._is_left_alone(account, daemon_set, wanted, previous):
            # The journal of another resource is not ours to follow.
            ours = self._journal(
                account if self._account.is_free(account) else None, previous, wanted
            )
            self._attach(ours - wanted.attachments)
            found, detached = self._pods(daemon_set), ours & wanted.attachments
            return _outcome(found, str(role_of(account)), detached)
        with _step("check whose role aws-node has"):
            due = wanted.role_arn != role_of(account) or wanted.role_arn != template_role(
                daemon_set
            )
            self._check(account, daemon_set, wanted, due=due)
        journal = self._journal(account, previous, wanted)
        kept = (journal | attached) & wanted.attachments
        with _step("give policies back to node roles"):
            # A pod that gets no role while roles change must still have a network.
            self._attach(journal if due else journal - kept)
        marks = marks_of(wanted, self._owner, kept)
        with _step("annotate the service account"):
            if due or attached or not is_written(account, marks):
                self._account.annotate(wanted, marks)
        if not (due or attached):
            return _outcome(self._pods(daemon_set), wanted.role_arn, kept)
        if due:
            with _step("see the new role in a dry run"):
                await_webhook(self._api, daemon_set, wanted.role_arn)
            with _step("restart the DaemonSet"):
                self._restart(
                    daemon_set,
                    wanted.role_arn,
                    lambda pod: bool(credential_fault(pod["spec"], wanted.role_arn)),
                )
        with _step("wait for the rollout"):
            self._await_rollout(daemon_set, wanted.rollout_seconds)
        with _step("verify the pods"):
            pods = self._verified_pods(wanted, marks)
        with _step("detach the policies from the node roles"):
            self._detach(kept if due else attached, marks)
        return _outcome(pods, wanted.role_arn, kept)

    def undo(self, failure: Exception, failed: Rebinding, previous: Rebinding | None) -> None:
        """Undo a binding that failed: go back to what was bound before.

        Args:
            failure: Why it failed. When another event has begun since, all else is left to that.
            failed: What was asked for.
            previous: What was bound before by this resource, None when nothing was.

        Raises:
            Failure: A step of that fails.
        """
        with _step("give policies back to node roles"):
            self._node_roles.attach(self._detached)
        if isinstance(failure, Superseded):
            return
        self._account.begin_undoing()
        if previous:
            self.bind(previous, failed)
        else:
            self.release(failed, surely_bound=False)

    def release(self, bound: Rebinding, *, surely_bound: bool, created_by: str = "") -> None:
        """Give the policies back, and only then take the role off `aws-node`.

        Args:
            bound: What was asked for.
            surely_bound: Whether it was bound once, so that a journal that is lost means all of it.
            created_by: The event whose failed creation this undoes, as far as that is known. What
                a later creation has bound is left alone.

        Raises:
            Failure: A step is refused or takes too long; what follows it was not begun.
        """
        known = bound if surely_bound else None
        with _step("find aws-node"):
            account, daemon_set = self._account.look(), self._daemon_set()
        if account and created_by and not is_made_by(account, created_by):
            log("left alone", level="WARNING", because="a later creation has bound aws-node")
            return
        is_free = account is None or self._account.is_free(account)
        if is_free:
            with _step("mark the service account"):
                account = self._account.change(lambda found: stamped(found, self._account.event))
        elif account:
            log("left alone", level="WARNING", because=f"bound by {owner_of(account)}")
        journal = self._journal(account if is_free else None, known, bound)
        with _step("give policies back to node roles"):
            self._attach(journal)
        if is_free:
            with _step("take the role off the service account"):
                account = self._account.change(lambda found: without_role(found, bound))
        if not account or not daemon_set:
            log("aws-node is gone", level="WARNING")
        elif is_free or self._pods_of_roles(daemon_set, {bound.role_arn} - {role_of(account)}):
            self._release_pods(account, daemon_set, bound)
        if is_free:
            with _step("take the journal off the service account"):
                self._account.change(without_marks)

    def _release_pods(
        self, account: dict[str, Any], daemon_set: dict[str, Any], bound: Rebinding
    ) -> None:
        before, after = template_role(daemon_set), role_of(account)
        ours = {bound.role_arn, *([before] if before else [])} - {after}
        if before or self._pods_of_roles(daemon_set, ours):
            with _step("see the old state in a dry run"), contextlib.suppress(NotYetSeen):
                await_webhook(self._api, daemon_set, after)
            with _step("restart the DaemonSet"):
                self._restart(
                    daemon_set, None, lambda pod: any(carries(pod, role) for role in ours)
                )
        with _step("wait until no pod has the role"):
            self._await_release(daemon_set, ours, bound.rollout_seconds)

    def _awaited_objects(self) -> tuple[dict[str, Any], dict[str, Any]]:
        deadline = DeadlinePart(self._api.deadline, APPEARANCE_SECONDS)
        while True:
            account, daemon_set = self._account.look(), self._daemon_set()
            absent = {
                name: "one that is being deleted" if found else "none"
                for name, found in (("service account", account), ("DaemonSet", daemon_set))
                if not found or "deletionTimestamp" in found["metadata"]
            }
            if account and daemon_set and not absent:
                return account, daemon_set
            log("waiting for aws-node to be installed", absent=absent)
            try:
                deadline.sleep(_POLL_SECONDS)
            except OutOfTime as late:
                name, found = next(iter(absent.items()))
                raise Failure(
                    f"the {name} {ACCOUNT} must exist, got {found} within "
                    f"{deadline.seconds:.0f} s; install the VPC CNI, or remove AwsNodeRebinding"
                ) from late

    def _daemon_set(self) -> dict[str, Any] | None:
        return self._api.get(_DAEMON_SET)

    def _attached(self, wanted: Rebinding, previous: Rebinding | None) -> frozenset[Attachment]:
        known = previous.node_role_names if previous else ()
        found: set[Attachment] = set()
        for role in wanted.node_role_names:
            policies = self._node_roles.policies(role, is_known=role in known)
            if policies is None and role not in known:
                raise Failure(
                    f"NodeRoleNames must name roles of this account, got {role!r}; correct it"
                )
            found |= {Attachment(role, policy) for policy in policies or ()}
        return frozenset(found & wanted.attachments)

    def _journal(
        self, account: dict[str, Any] | None, known: Rebinding | None, asked: Rebinding
    ) -> frozenset[Attachment]:
        """What node roles are to get back: as the account tells, and what we detached ourselves.

        Policies that the event does not name are not ours to attach, whoever wrote them there.
        """
        ours = {*asked.policy_arns, *(known.policy_arns if known else ())}
        found = journal_of(account, known) | self._detached
        stray = {attachment for attachment in found if attachment.policy not in ours}
        if stray:
            log("not ours to attach", level="WARNING", attachments=sorted(stray))
        return found - stray

    def _is_left_alone(
        self,
        account: dict[str, Any],
        daemon_set: dict[str, Any],
        wanted: Rebinding,
        previous: Rebinding | None,
    ) -> bool:
        """Whether the account is no longer ours to bind, though the event does not change its role.

        That is told and no failure: it would fail the rollback of an unrelated change as well. The
        role does not change either where the DaemonSet was last restarted for it: the change that
        is rolled back was refused.
        """
        reason = refusal(account, wanted, self._owner)
        before = {previous.role_arn, template_role(daemon_set)} if previous else set()
        if not reason or wanted.role_arn not in before:
            return False
        log("left alone", level="WARNING", account=ACCOUNT, because=reason)
        return True

    def _check(
        self, account: dict[str, Any], daemon_set: dict[str, Any], wanted: Rebinding, *, due: bool
    ) -> None:
        reason = refusal(account, wanted, self._owner)
        if reason:
            raise Failure(reason)
        by_itself = rolls_by_itself(daemon_set) if due else ""
        if by_itself:
            raise Failure(
                f"the DaemonSet {ACCOUNT} must roll out by itself, got: {by_itself}; set its "
                "update strategy to RollingUpdate"
            )

    def _restart(
        self, daemon_set: dict[str, Any], role_arn: str | None, is_overdue: Callable[[Any], bool]
    ) -> None:
        """Put the role on the pod template, or with None take it off, if that is not done yet.

        Args:
            daemon_set: The DaemonSet.
            role_arn: The role.
            is_overdue: Whether a pod is not as it would be made now.
        """
        marks = {TEMPLATE_ROLE: role_arn}
        if template_role(daemon_set) == role_arn:
            template = daemon_set["spec"]["template"]
            # Older pods are being replaced already.
            made_now = (
                pod
                for pod in self._pods(daemon_set)
                if is_of_template(pod, template, (TEMPLATE_ROLE, _RESTARTED_AT))
            )
            if not any(is_overdue(pod) for pod in made_now):
                return
            # The role on the account went and came back: only another value makes new pods.
            marks[_RESTARTED_AT] = dt.datetime.now(dt.UTC).isoformat("T", "seconds")
        self._writes += 1
        self._api.merge(_DAEMON_SET, {"spec": {"template": {"metadata": {"annotations": marks}}}})
        log("restarting", daemon_set=ACCOUNT, role=role_arn)

    def _await_rollout(self, daemon_set: dict[str, Any], seconds: float) -> None:
        try:
            await_rollouts(self._api, [_DAEMON_SET], DeadlinePart(self._api.deadline, seconds))
        except Failure as failure:
            stuck = self._stuck(daemon_set)
            if not stuck:
                raise
            raise Failure(f"{failure}; {_few(stuck)}") from failure

    def _verified_pods(self, wanted: Rebinding, marks: dict[str, str]) -> list[Any]:
        daemon_set = self._daemon_set()
        if daemon_set is None:
            raise Failure(f"{ACCOUNT} must stay, got it deleted meanwhile; see who did")
        self._account.check(marks)
        pods = self._pods(daemon_set)
        faults = pods_without_role(pods, wanted.role_arn)
        if faults:
            raise Failure(
                f"every pod of aws-node must run as {wanted.role_arn}, got {_few(faults)}; see "
                "whether the pod template sets the variable itself, or kubectl rollout restart "
                "daemonset/aws-node --namespace kube-system and deploy again"
            )
        log("verified", pods=len(pods), nodes=nodes_of(pods), role=wanted.role_arn)
        return pods

    def _await_release(self, daemon_set: dict[str, Any], roles: set[str], seconds: float) -> None:
        deadline, told = DeadlinePart(self._api.deadline, seconds), -1
        while pods := self._pods_of_roles(daemon_set, roles):
            if len(pods) != told:
                log("rollout", pods_with_the_role=len(pods))
                told = len(pods)
            try:
                deadline.sleep(_POLL_SECONDS)
            except OutOfTime as late:
                nodes = _few(nodes_of(pods))
                stuck = _few(self._stuck(daemon_set)) or "all pods are ready"
                raise Failure(
                    f"no pod may run as a role that goes away, got pods on {nodes} after "
                    f"{deadline.seconds:.0f} s ({stuck}); restart them, and delete again"
                ) from late
        try:
            await_rollouts(
                self._api, [_DAEMON_SET], DeadlinePart(self._api.deadline, _SETTLE_SECONDS)
            )
        except Failure as failure:
            # No pod of it has the role any more.
            log("not all pods are ready", level="WARNING", because=str(failure))

    def _own_pods(self, daemon_set: dict[str, Any]) -> list[Any]:
        labels = daemon_set["spec"]["selector"].get("matchLabels", {})
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return pods_of(daemon_set, self._api.list(_PODS, labelSelector=selector))

    def _pods(self, daemon_set: dict[str, Any]) -> list[Any]:
        return running(self._own_pods(daemon_set))

    def _pods_of_roles(self, daemon_set: dict[str, Any], roles: set[str]) -> list[Any]:
        return [pod for pod in self._pods(daemon_set) if any(carries(pod, role) for role in roles)]

    def _stuck(self, daemon_set: dict[str, Any]) -> list[str]:
        """What keeps a rollout from ending, a pod a line."""
        pods = self._own_pods(daemon_set)
        return [*pods_ending(pods, dt.datetime.now(dt.UTC)), *pods_not_ready(running(pods))]

    def _attach(self, attachments: Iterable[Attachment]) -> None:
        """Give policies back, and wait until they count."""
        attachments = list(attachments)
        self._writes += len(attachments)
        self._node_roles.attach(attachments)
        if attachments:
            self._api.deadline.sleep(IAM_SETTLE_SECONDS)
            # An event that this one stopped may have been detaching.
            self._node_roles.attach(attachments)

    def _detach(self, attachments: Iterable[Attachment], marks: dict[str, str]) -> None:
        for attachment in sorted(attachments):
            self._account.check(marks)
            self._writes += 1
            self._detached.add(attachment)
            self._node_roles.detach(attachment)
        self._account.check(marks)


def _outcome(pods: Iterable[Any], role_arn: str, detached: Iterable[Attachment]) -> Outcome:
    on = nodes_of(pod for pod in pods if carries(pod, role_arn))
    return Outcome(tuple(on), role_arn, tuple(sorted({role for role, _ in detached})))


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    """Say in a failure which step failed."""
    log("step", step=name)
    try:
        yield
    except Failure as failure:
        failure.args = (f"{name}: {failure}",)
        raise
