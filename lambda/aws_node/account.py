"""The service account in the cluster, as one event reads and changes it."""

from __future__ import annotations

import http
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_node.account_marks import (
    ACCOUNT,
    UNDOING,
    application,
    events_of,
    is_written,
    newer_event,
    refusal,
    role_of,
    stamp_of,
)
from custom_resource import Failure, OutOfTime, log
from kubernetes_api.connection import ApiError, Conflict
from kubernetes_api.deadline_part import DeadlinePart
from kubernetes_api.owner import Holder
from kubernetes_api.shared_keys import ROLE_ARN_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_node.rebinding import Rebinding
    from kubernetes_api.connection import Api
    from kubernetes_api.owner import Owner

    Object = dict[str, Any]

_PATH = "/api/v1/namespaces/kube-system/serviceaccounts/aws-node"
# How long an account that changes each time before we write is fought for.
FIGHT_SECONDS = 60.0
_FIGHT_PAUSE = 0.2


class Superseded(Failure):
    """Another event of the resource has begun since: what is to be done is that one's."""


class Account:
    """Reads, and changes that are decided on what was read; all of it until a newer event comes.

    Attributes:
        writes: how many changes were sent so far.
    """

    def __init__(self, api: Api, owner: Owner, event: str) -> None:
        self._api = api
        self._owner = owner
        self.event = event
        # The events that were there when this one began.
        self._known: set[str] | None = None
        self.writes = 0

    def look(self) -> Object | None:
        """The account, None when there is none.

        Raises:
            Superseded: A newer event of this resource works on it.
        """
        account = self._api.get(_PATH)
        if account is None:
            return None
        if self._known is None:
            self._known = set(events_of(account))
        newer = newer_event(account, self.event, self._known)
        if newer and self._owner.holder_of(account) is Holder.US:
            raise Superseded(
                f"this event must be the last one of {self._owner.logical_id}, got event {newer} "
                "after it; see how that one ends"
            )
        return account

    def is_free(self, account: Object) -> bool:
        """Whether no other resource has bound the account."""
        return self._owner.holder_of(account) in (Holder.NOBODY, Holder.US)

    def annotate(self, wanted: Rebinding, marks: dict[str, str]) -> None:
        """Put our marks on the account, the event's own among them."""

        def application_to(found: Object) -> Object:
            if reason := refusal(found, wanted, self._owner):
                raise Failure(reason)
            asked = {**marks, **stamp_of(found, self.event)}
            return {} if is_written(found, asked) else application(found, asked)

        # What is forced is our own: the version that was read bars all that came since.
        if self.change(application_to, partial(self._api.apply, force=True)) is None:
            raise Failure(f"{ACCOUNT} must stay, got it deleted meanwhile; see who did")

    def change(
        self,
        decide: Callable[[Object], Object],
        send: Callable[[str, Object], Object] | None = None,
    ) -> Object | None:
        """The account after a change that is decided on it as it is, and anew when it changes."""
        deadline = DeadlinePart(self._api.deadline, FIGHT_SECONDS)
        while True:
            account = self.look()
            change = decide(account) if account else {}
            if not change:
                return account
            self.writes += 1
            try:
                written = (send or self._api.merge)(_PATH, change)
            except ApiError as error:
                gone = error.status == http.HTTPStatus.NOT_FOUND
                if not (gone or isinstance(error, Conflict)):
                    raise
                try:
                    deadline.sleep(_FIGHT_PAUSE)
                except OutOfTime:
                    raise error from None
            else:
                log("written", account=ACCOUNT, annotations=change["metadata"]["annotations"])
                return written

    def check(self, marks: dict[str, str]) -> None:
        """Read the account again.

        Raises:
            Failure: It is no longer as we wrote it.
        """
        account, role = self.look(), marks[ROLE_ARN_ANNOTATION]
        if account is None:
            raise Failure(f"{ACCOUNT} must stay, got it deleted meanwhile; see who did")
        if role_of(account) != role:
            raise Failure(
                f"{ACCOUNT} must keep its role {role}, got {role_of(account)} set meanwhile by "
                "somebody else; see who did"
            )
        if not is_written(account, marks):
            raise Failure(
                f"{ACCOUNT} must keep our annotations, got it replaced meanwhile by somebody else; "
                "see who did"
            )

    def begin_undoing(self) -> None:
        """Go on as the event that undoes this one: it is newer, for others that still run."""
        self._known = {*(self._known or ()), self.event}
        self.event += UNDOING
