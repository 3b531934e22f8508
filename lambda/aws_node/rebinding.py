"""The transaction on aws-node: annotate, restart, wait, verify, and only then detach.

What was detached is written on the service account before it is detached (`irsa-stack/detached`),
so that it can be given back exactly, by whoever comes after a function that was killed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_node.node_roles import NodeRoles
from aws_node.pods import faults_of, nodes_of, of_daemon_set, role_of
from custom_resource import Failure, log
from kubernetes_api import restart
from kubernetes_api.accounts import Accounts
from kubernetes_api.binding import ADOPT, ROLE_ANNOTATION, Binding
from kubernetes_api.binding_plan import is_taken_over
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.rollout import rolls_by_itself
from kubernetes_api.shared_keys import keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes_api.binding_plan import Owner
    from kubernetes_api.connection import Api

    # node role -> ARNs of the policies that we took off it
    _Journal = Mapping[str, list[str]]

KEY = "kube-system/aws-node"
ACCOUNT = "/api/v1/namespaces/kube-system/serviceaccounts/aws-node"
DAEMON_SET = "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node"
PODS = "/api/v1/namespaces/kube-system/pods"
DETACHED = "irsa-stack/detached"
# Kept for undoing: give back, let IAM settle, restart.
_UNDO_SECONDS = 90.0
# IAM's changes reach its regions within seconds.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
IAM_SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    role_arn: str
    node_roles: tuple[str, ...]
    policies: tuple[str, ...]
    rollout_seconds: float

    @property
    def binding(self) -> Binding:
        """The annotation that we own on somebody else's service account."""
        annotations = {ROLE_ANNOTATION: self.role_arn}
        return Binding("kube-system", "aws-node", ADOPT, annotations=annotations)


@dataclass(frozen=True)
class Outcome:
    """The pods' view of the result."""

    nodes_checked: int
    role_seen: str
    detached_from: tuple[str, ...]


class Rebinding:
    """What one event does to aws-node and to the node roles."""

    def __init__(self, api: Api, owner: Owner) -> None:
        self._api = api
        self._owner = owner
        self._accounts = Accounts(api, owner)
        self._node_roles = NodeRoles()
        self._step = "look"
        self._restarted_from: list[str | None] = []
        self._journal_before: _Journal | None = None

    def bind(self, plan: Plan, previous: Plan | None) -> Outcome:
        """Move aws-node to its role.

        Raises:
            Failure: A step failed; those before it are undone, newest first.
        """
        try:
            with self._api.until(DeadlinePart.keeping(self._api.deadline, _UNDO_SECONDS)):
                return self._bind(plan, previous)
        except Exception as error:
            problems = self._undo()
            if not isinstance(error, Failure):
                raise
            told = "; ".join(problems) or "everything done before was undone"
            raise Failure(f"step {self._step!r} failed: {error}; {told}") from error

    def release(self, previous: Plan) -> None:
        """Give the policies back, and only then take our annotation and the role away.

        Raises:
            Failure: A step failed; a second try does the rest.
        """
        account, daemon_set = self._api.get(ACCOUNT), self._api.get(DAEMON_SET)
        others = account is not None and (self._owner.yields(account) or is_taken_over(account))
        if not others:
            self._give_back(account, daemon_set, previous)
        self._accounts.bring(KEY, None, previous.binding, self._api.get(ACCOUNT))
        account = self._api.get(ACCOUNT)
        if account is None or daemon_set is None:
            # Without its account no pod of aws-node could be made again: those that run, stay.
            log("gone", level="WARNING", account=account is None, daemon_set=daemon_set is None)
            return
        role = keys_of(account)["annotations"].get(ROLE_ANNOTATION)
        if restart.template_role(daemon_set) not in (None, role):
            self._restart(role, previous.rollout_seconds)

    def _bind(self, plan: Plan, previous: Plan | None) -> Outcome:
        account = self._api.get(ACCOUNT)
        daemon_set = self._found_daemon_set()
        detachable = {
            role: self._node_roles.attached(role, plan.policies) for role in plan.node_roles
        }

        self._step = "annotate the service account"
        before = previous.binding if previous else None
        self._accounts.bring(KEY, plan.binding, before, account)
        account = self._api.get(ACCOUNT)
        if account is None:
            return Outcome(0, "none", ())
        role = keys_of(account)["annotations"].get(ROLE_ANNOTATION, "none")
        if role != plan.role_arn:
            log("left alone", level="WARNING", account=KEY, role=role)
            return Outcome(0, role, tuple(sorted(_journal(account))))

        self._step = "restart aws-node"
        if restart.template_role(daemon_set) != plan.role_arn:
            self._restarted_from.append(restart.template_role(daemon_set))
            self._restart(plan.role_arn, plan.rollout_seconds)
        elif previous is None or any(detachable.values()):
            self._await_rollout(plan.rollout_seconds)
        else:
            # Nothing changes for the pods: a node that is down now must not fail a rollback.
            journal = self._give_back_all_but(plan.node_roles, _journal(account))
            return self._outcome(plan, journal)

        self._step = "verify the pods"
        self._verify_pods(plan.role_arn)

        self._step = "detach the policies from the node roles"
        journal = self._detach(detachable, account)

        self._step = "give the policies back to node roles that are no longer asked for"
        journal = self._give_back_all_but(plan.node_roles, journal)
        return self._outcome(plan, journal)

    def _found_daemon_set(self) -> dict[str, Any]:
        daemon_set = self._api.get(DAEMON_SET)
        if daemon_set is None:
            raise Failure(
                "DaemonSet kube-system/aws-node must exist, got nothing; install the VPC CNI first"
            )
        stays = rolls_by_itself(daemon_set)
        if stays:
            raise Failure(
                f"DaemonSet kube-system/aws-node must restart its pods, got: {stays}; set its "
                "update strategy to RollingUpdate"
            )
        return daemon_set

    def _restart(self, role: str | None, seconds: float) -> None:
        self._api.deadline.sleep(restart.WEBHOOK_WATCH_SECONDS)
        restart.set_template_role(self._api, DAEMON_SET, role)
        log("restarting", workload=DAEMON_SET, role=role)
        self._await_rollout(seconds)

    def _await_rollout(self, seconds: float) -> None:
        deadline = DeadlinePart(self._api.deadline, seconds)
        restart.await_rollouts(self._api, [DAEMON_SET], deadline)

    def _pods(self, daemon_set: dict[str, Any]) -> list[Any]:
        selector = daemon_set["spec"]["selector"].get("matchLabels") or {}
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        return of_daemon_set(self._api.list(PODS, labelSelector=labels), daemon_set)

    def _verify_pods(self, role_arn: str) -> None:
        daemon_set = self._found_daemon_set()
        faults = faults_of(self._pods(daemon_set), daemon_set, role_arn)
        if faults:
            raise Failure(faults)

    def _outcome(self, plan: Plan, journal: _Journal) -> Outcome:
        pods = self._pods(self._found_daemon_set())
        on_role = [pod for pod in pods if role_of(pod) == plan.role_arn]
        log("verified", pods=len(pods), on_the_role=len(on_role))
        return Outcome(len(nodes_of(on_role)), plan.role_arn, tuple(sorted(journal)))

    def _detach(self, detachable: _Journal, account: dict[str, Any]) -> _Journal:
        journal = _journal(account)
        due = {role: policies for role, policies in detachable.items() if policies}
        if due:
            after = {role: sorted({*journal.get(role, []), *due[role]}) for role in due}
            self._journal_before, journal = journal, {**journal, **after}
            self._write_journal(journal)
        for role, policies in due.items():
            for policy in policies:
                self._node_roles.detach(role, policy)
        return journal

    def _give_back_all_but(self, node_roles: tuple[str, ...], journal: _Journal) -> _Journal:
        kept = {role: policies for role, policies in journal.items() if role in node_roles}
        for role in journal.keys() - kept.keys():
            for policy in journal[role]:
                self._node_roles.attach(role, policy)
        if kept != journal:
            self._write_journal(kept)
        return kept

    def _give_back(
        self,
        account: dict[str, Any] | None,
        daemon_set: dict[str, Any] | None,
        previous: Plan,
    ) -> None:
        journal = _journal(account) if account else {}
        if not journal and daemon_set:
            journal = self._without_journal(account, previous)
        for role, policies in journal.items():
            for policy in policies:
                self._node_roles.attach(role, policy)
        if journal:
            self._api.deadline.sleep(IAM_SETTLE_SECONDS)
        if account and DETACHED in keys_of(account)["annotations"]:
            self._write_journal({})

    def _without_journal(self, account: dict[str, Any] | None, previous: Plan) -> _Journal:
        """What to attach when nothing tells what was detached: enough to run the CNI."""
        if account and ROLE_ANNOTATION in keys_of(account)["annotations"]:
            return {}  # it has a role, ours or another
        given: dict[str, list[str]] = {}
        for role in previous.node_roles:
            try:
                if not self._node_roles.attached(role, previous.policies):
                    given[role] = list(previous.policies[:1])
            except Failure as failure:
                log("cannot look", level="WARNING", reason=str(failure))
        return given

    def _write_journal(self, journal: _Journal) -> None:
        text = json.dumps(journal, sort_keys=True, separators=(",", ":")) if journal else None
        self._api.merge(ACCOUNT, {"metadata": {"annotations": {DETACHED: text}}})

    def _undo(self) -> list[str]:
        detached = self._node_roles.changed
        problems = self._node_roles.undo()
        try:
            if detached:
                self._api.deadline.sleep(IAM_SETTLE_SECONDS)
            if self._journal_before is not None:
                self._write_journal(self._journal_before)
            problems += self._accounts.undo()
            for role in self._restarted_from:
                self._restart(role, _UNDO_SECONDS)
        except Failure as failure:
            problems.append(f"aws-node could not be put back: {failure}")
        return problems


def _journal(account: dict[str, Any]) -> _Journal:
    try:
        journal = json.loads(keys_of(account)["annotations"].get(DETACHED, "{}"))
    except ValueError:
        return {}
    return journal if isinstance(journal, dict) else {}
