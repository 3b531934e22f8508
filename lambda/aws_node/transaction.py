"""The steps that move `aws-node` to a role of its own, and the steps back.

Each step looks first whether it is done already, so that an event can be repeated, or stopped
anywhere and undone by another. The order keeps one thing true at every moment: the node roles have
the CNI's policy, or every pod of `aws-node` runs as a role that has it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_node.account_marks import (
    ACCOUNT,
    JOURNAL,
    application,
    before_take_over,
    binding_of,
    is_foreign,
    is_of_rebinding,
    is_written,
    journal_of,
    journal_of_former,
    journal_text,
    marks_of,
    refusal,
    role_of,
    with_undo,
    without_former,
    without_marks,
    without_role,
)
from aws_node.node_roles import NodeRoles
from aws_node.pods import (
    carries,
    credential_fault,
    is_of_template,
    nodes_of,
    pods_not_ready,
    pods_without_role,
    running_pods,
)
from aws_node.rebinding import Attachment
from aws_node.webhook import NotYetSeen, await_webhook
from custom_resource import Failure, OutOfTime, listed, log
from kubernetes_api.connection import ApiError, Conflict
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.owner import Owner, owner_of
from kubernetes_api.restart import TEMPLATE_ROLE, await_rollouts, template_role
from kubernetes_api.rollout import rolls_by_itself
from kubernetes_api.shared_keys import keys_of, patched_keys
from kubernetes_api.undo_journal import taken_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aws_node.rebinding import Rebinding
    from kubernetes_api.connection import Api

_NAMESPACE = "/api/v1/namespaces/kube-system"
_ACCOUNT = f"{_NAMESPACE}/serviceaccounts/aws-node"
_PODS = f"{_NAMESPACE}/pods"
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
# An account that changes under our hands this often is fought over.
_READINGS = 5


@dataclass(frozen=True)
class Outcome:
    """What was found in the end."""

    nodes: tuple[str, ...]
    role_arn: str
    detached_from: tuple[str, ...]


class Transaction:
    """What one event does to the cluster's `aws-node` and to its node roles."""

    def __init__(self, api: Api, owner: Owner) -> None:
        self._api = api
        self._owner = owner
        self._node_roles = NodeRoles(lambda: api.deadline)
        self.writes = 0

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
        journal = journal_of(account, previous)
        kept = (journal | attached) & wanted.attachments
        if self._is_left_alone(account, daemon_set, wanted, previous):
            # The journal of another stack is not ours to follow.
            ours = journal_of(None if self._owner.yields(account) else account, previous)
            self._attach(ours - wanted.attachments)
            detached = ours & wanted.attachments
            return self._outcome(daemon_set, str(role_of(account)), detached)
        with _step("check whose role aws-node has"):
            due = wanted.role_arn != role_of(account) or wanted.role_arn != template_role(
                daemon_set
            )
            self._check(account, daemon_set, wanted, due=due)
        with _step("give policies back to node roles"):
            # A pod that gets no role while roles change must still have a network.
            self._attach(journal if due else journal - kept)
        with _step("annotate the service account"):
            marks = marks_of(wanted, self._owner, kept)
            self._annotate(account, with_undo(account, marks, self._owner))
        if due:
            with _step("see the new role in a dry run"):
                await_webhook(self._api, daemon_set, wanted.role_arn)
            with _step("restart the DaemonSet"):
                self._restart(
                    daemon_set,
                    wanted.role_arn,
                    lambda pod: bool(credential_fault(pod["spec"], wanted.role_arn)),
                )
        if due or attached:
            with _step("wait for the rollout"):
                self._await_rollout(daemon_set, wanted.rollout_seconds)
            with _step("verify the pods"):
                self._verify(wanted)
        with _step("detach the policies from the node roles"):
            self._detach(kept if due else attached)
        return self._outcome(daemon_set, wanted.role_arn, kept)

    def undo(self, failed: Rebinding, previous: Rebinding | None) -> None:
        """Undo a binding that failed: go back to what was bound before, by us or by another.

        Args:
            failed: What was asked for.
            previous: What was bound before by this resource, None when nothing was.

        Raises:
            Failure: A step of that fails.
        """
        if previous:
            self.bind(previous, failed)
        else:
            self.release(failed, surely_bound=False)

    def release(self, bound: Rebinding, *, surely_bound: bool) -> None:
        """Give the policies back, and only then take the role off `aws-node`.

        What was taken from another resource that has not let go of it yet is bound as before: only
        we are told when that take-over is rolled back.

        Args:
            bound: What was asked for.
            surely_bound: Whether it was bound once, so that a journal that is lost means all of it.

        Raises:
            Failure: A step is refused or takes too long; what follows it was not begun.
        """
        with _step("find aws-node"):
            account, daemon_set = self._api.get(_ACCOUNT), self._api.get(_DAEMON_SET)
        if account and self._owner.yields(account):
            self._let_go(account, daemon_set, bound, surely_bound=surely_bound)
            return
        former = binding_of(before_take_over(account)) if account else None
        if account and daemon_set and former and self._owner.holds(account):
            owner, rebinding = former
            if not is_foreign(account, rebinding.role_arn):
                self._hand_back(owner, rebinding, bound)
                return
        with _step("give policies back to node roles"):
            self._attach(journal_of(account, bound if surely_bound else None))
        with _step("take the role off the service account"):
            account = self._patched(account, lambda found: without_role(found, bound))
        if account and daemon_set:
            self._release_pods(account, daemon_set, bound)
        else:
            log("aws-node is gone", level="WARNING")
        with _step("take the journal off the service account"):
            self._patched(account, without_marks)

    def _let_go(
        self,
        account: dict[str, Any],
        daemon_set: dict[str, Any] | None,
        bound: Rebinding,
        *,
        surely_bound: bool,
    ) -> None:
        """Leave an account to another resource, and end what is ours to end of it."""
        log("left alone", level="WARNING", because=f"bound by {owner_of(account)}")
        if not self._owner.shares(account):
            return
        is_former = taken_from(account) == self._owner.mark
        if not is_of_rebinding(account):
            # It knows nothing of node roles, and their policies must not go with our role.
            known = bound if surely_bound else None
            with _step("give policies back to node roles"):
                self._attach(
                    journal_of_former(account, known) if is_former else journal_of(None, known)
                )
            if daemon_set and self._pods_of_roles(daemon_set, {bound.role_arn}):
                self._release_pods(account, daemon_set, bound)
        elif daemon_set and not surely_bound and (other := binding_of(account)):
            # A take-over that was killed before it annotated had given policies back already.
            Transaction(self._api, other[0]).bind(other[1], bound)
        if is_former:
            with _step("let go of the service account"):
                self._patched(account, lambda found: without_former(found, self._owner))

    def _hand_back(self, owner: Owner, former: Rebinding, bound: Rebinding) -> None:
        # As ourselves until all is as it was: what is killed on the way, the next Delete ends.
        self.bind(former, bound)
        with _step(f"hand aws-node back to {owner.logical_id}"):
            account = self._api.get(_ACCOUNT)
            if account and self._owner.holds(account):
                keys = keys_of(before_take_over(account))
                if JOURNAL in keys["annotations"]:  # as it is now: a node role may be gone
                    keys["annotations"][JOURNAL] = journal_text(journal_of(account, former))
                self._apply(account, keys["annotations"], keys["labels"])
                log("handed back", account=ACCOUNT, to=owner.mark)

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
            account, daemon_set = self._api.get(_ACCOUNT), self._api.get(_DAEMON_SET)
            if account and daemon_set:
                return account, daemon_set
            absent = "service account" if daemon_set else "DaemonSet"
            log("waiting for aws-node to be installed", absent=absent)
            try:
                deadline.sleep(_POLL_SECONDS)
            except OutOfTime as late:
                raise Failure(
                    f"the {absent} {ACCOUNT} must exist, got none within {deadline.seconds:.0f} s; "
                    "install the VPC CNI, or remove AwsNodeRebinding"
                ) from late

    def _attached(self, wanted: Rebinding, previous: Rebinding | None) -> frozenset[Attachment]:
        known = previous.node_role_names if previous else ()
        found: set[Attachment] = set()
        for role in wanted.node_role_names:
            policies = self._node_roles.policies(role)
            if policies is None and role not in known:
                raise Failure(
                    f"NodeRoleNames must name roles of this account, got {role!r}; correct it"
                )
            found |= {Attachment(role, policy) for policy in policies or ()}
        return frozenset(found & wanted.attachments)

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

    def _annotate(self, account: dict[str, Any], wanted: dict[str, str]) -> None:
        if is_written(account, wanted):
            return
        self._apply(account, wanted)
        log("annotated", account=ACCOUNT, **wanted)

    def _apply(
        self,
        account: dict[str, Any],
        annotations: dict[str, str],
        labels: dict[str, str] | None = None,
    ) -> None:
        body = application(account, annotations, labels)
        # What the binder of our stack wrote with a patch is ours, by another verb.
        ours = {("annotations", key) for key in annotations} & patched_keys(account)
        if ours:
            body["metadata"]["resourceVersion"] = account["metadata"]["resourceVersion"]
        self._api.apply(_ACCOUNT, body, force=bool(ours))
        self.writes += 1

    def _patched(
        self, account: dict[str, Any] | None, patch_of: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any] | None:
        """The account after a guarded change, decided anew when it changes meanwhile."""
        for reading in range(1, _READINGS + 1):
            patch = patch_of(account) if account else {}
            if not patch:
                break
            try:
                account = self._api.merge(_ACCOUNT, patch)
            except ApiError as error:
                gone = error.status == http.HTTPStatus.NOT_FOUND
                if reading == _READINGS or not (gone or isinstance(error, Conflict)):
                    raise
                account = self._api.get(_ACCOUNT)
            else:
                self.writes += 1
                removed = list(patch["metadata"]["annotations"])
                log("annotations removed", account=ACCOUNT, removed=removed)
                break
        return account

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
        self._api.merge(_DAEMON_SET, {"spec": {"template": {"metadata": {"annotations": marks}}}})
        self.writes += 1
        log("restarting", daemon_set=ACCOUNT, role=role_arn)

    def _await_rollout(self, daemon_set: dict[str, Any], seconds: float) -> None:
        try:
            await_rollouts(self._api, [_DAEMON_SET], DeadlinePart(self._api.deadline, seconds))
        except Failure as failure:
            stuck = pods_not_ready(self._pods(daemon_set))
            if not stuck:
                raise
            raise Failure(f"{failure}; {_few(stuck)}") from failure

    def _verify(self, wanted: Rebinding) -> None:
        account, daemon_set = self._api.get(_ACCOUNT), self._api.get(_DAEMON_SET)
        if account is None or daemon_set is None:
            raise Failure(f"{ACCOUNT} must stay, got it deleted meanwhile; see who did")
        if role_of(account) != wanted.role_arn:
            raise Failure(
                f"{ACCOUNT} must keep its role {wanted.role_arn}, got {role_of(account)} set "
                "meanwhile by somebody else; see who did"
            )
        pods = self._pods(daemon_set)
        faults = pods_without_role(pods, wanted.role_arn)
        if faults:
            raise Failure(
                f"every pod of aws-node must run as {wanted.role_arn}, got {_few(faults)}; see "
                "whether the pod template sets the variable itself, or kubectl rollout restart "
                "daemonset/aws-node --namespace kube-system and deploy again"
            )
        log("verified", pods=len(pods), nodes=nodes_of(pods), role=wanted.role_arn)

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
                stuck = _few(pods_not_ready(self._pods(daemon_set))) or "all pods are ready"
                raise Failure(
                    f"no pod may run as a role that goes away, got pods on {nodes} after "
                    f"{deadline.seconds:.0f} s ({stuck}); restart them, and delete again"
                ) from late
        try:
            await_rollouts(
                self._api, [_DAEMON_SET], DeadlinePart(self._api.deadline, _SETTLE_SECONDS)
            )
        except Failure as failure:
            # A node that is down must not keep the stack from being deleted.
            log("not all pods are ready", level="WARNING", because=str(failure))

    def _pods(self, daemon_set: dict[str, Any]) -> list[Any]:
        labels = daemon_set["spec"]["selector"].get("matchLabels", {})
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return running_pods(daemon_set, self._api.list(_PODS, labelSelector=selector))

    def _pods_of_roles(self, daemon_set: dict[str, Any], roles: set[str]) -> list[Any]:
        return [pod for pod in self._pods(daemon_set) if any(carries(pod, role) for role in roles)]

    def _attach(self, attachments: Iterable[Attachment]) -> None:
        attached = self._node_roles.attach_missing(attachments)
        self.writes += attached
        if attached:
            self._api.deadline.sleep(IAM_SETTLE_SECONDS)

    def _detach(self, attachments: Iterable[Attachment]) -> None:
        for attachment in sorted(attachments):
            self._node_roles.detach(attachment)
            self.writes += 1

    def _outcome(
        self, daemon_set: dict[str, Any], role_arn: str, detached: Iterable[Attachment]
    ) -> Outcome:
        pods = [pod for pod in self._pods(daemon_set) if carries(pod, role_arn)]
        roles = sorted({role for role, _ in detached})
        return Outcome(tuple(nodes_of(pods)), role_arn, tuple(roles))


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    """Say in a failure which step failed."""
    log("step", step=name)
    try:
        yield
    except Failure as failure:
        failure.args = (f"{name}: {failure}",)
        raise
