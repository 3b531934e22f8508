"""A cluster's API server: requests that are retried within bounds, errors in Kubernetes' words."""

from __future__ import annotations

import contextlib
import dataclasses
import http
import http.client
import json
import math
import random
import re
import time
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from custom_resource import Deadline, Failure, OutOfTime, log
from kubernetes_api.cluster_existence import confirm_endpoint
from kubernetes_api.eks_token import eks_token
from kubernetes_api.kubectl_proxy import KubectlProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubernetes_api.cluster import Cluster

# Who we are in an object's managedFields.
FIELD_MANAGER = "irsa-stack"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
# An object may have 256 KiB of annotations, and a function of 512 MiB reads a page at once.
_PAGE = 100


@dataclass(frozen=True)
class Patience:
    """How long which trouble is borne, in seconds."""

    # One request: the API server itself gives up most after 60 s, an admission webhook after 30 s.
    request: float = 35.0
    # No answer, 429 or 5xx: an EKS control plane is replaced one server at a time.
    trouble: float = 120.0
    # 401 and 403, from the first: an access entry and its policies take a while to count.
    # https://docs.aws.amazon.com/eks/latest/userguide/access-policies.html
    settling: float = 240.0
    # What can do without an answer, and a write that is forbidden after trouble.
    glance: float = 5.0


# By the event's type. A new cluster's endpoint may take minutes to answer; an access entry that
# does not count when all is deleted has mostly gone already.
# https://github.com/aws/containers-roadmap/issues/654
PATIENCE = {
    "Create": Patience(trouble=300.0),
    "Update": Patience(),
    "Delete": Patience(settling=45.0),
}
# After this long the log says what is waited for.
_TOLD_AFTER_SECONDS = 45.0
_LONGEST_RETRY_AFTER = 30.0
# Of what is not Kubernetes' own reply.
_TOLD_BYTES = 500


class ApiError(Failure):
    """The API server's refusal."""

    def __init__(self, request: str, status: int, reason: str, message: str, fix: str = "") -> None:
        self.status = status
        self.reason = reason
        self.said = message
        # Whether an earlier attempt at it got no answer, and so may have been done.
        self.follows_silence = False
        super().__init__(f"{request}: Kubernetes says {message!r} ({status} {reason}){fix}")


class Conflict(ApiError):  # noqa: N818 - Kubernetes' word
    """The object is no longer as it was when we read it, or a field has another manager."""


class Unreachable(Failure):
    """The API server did not answer, or not sensibly, for as long as that is borne."""


class Api:
    """Requests to one cluster's API server. A context manager: close it to stop kubectl."""

    def __init__(self, cluster: Cluster, deadline: Deadline, event_type: str = "Update") -> None:
        self.deadline = deadline
        self._cluster = cluster
        self._patience = PATIENCE[event_type]
        self._first_refused_at: float | None = None
        # Whether another server may answer than the one that let us in.
        self._is_shaken = False
        confirm_endpoint(cluster)
        self._proxy = self._signed_in()
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        """Itself: it is connected from the start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._disconnect()
        self._proxy.close()

    @contextlib.contextmanager
    def until(self, deadline: Deadline) -> Iterator[None]:
        """Let a stricter or a laxer deadline count for a while."""
        before, self.deadline = self.deadline, deadline
        try:
            yield
        finally:
            self.deadline = before

    @contextlib.contextmanager
    def at_a_glance(self, *kinds: str) -> Iterator[None]:
        """Bear trouble for a moment only, where no answer is an answer too.

        Args:
            kinds: Fields of `Patience`. Default: `trouble` and `settling`.
        """
        before = self._patience
        short = {
            kind: min(getattr(before, kind), before.glance)
            for kind in kinds or ("trouble", "settling")
        }
        self._patience = dataclasses.replace(before, **short)
        try:
            yield
        finally:
            self._patience = before

    def get(self, path: str) -> dict[str, Any] | None:
        """The object at a path, or None when there is none."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """All objects of a collection, page by page."""
        page: dict[str, Any] = {"metadata": {"continue": ""}}
        while (token := page["metadata"].get("continue", "")) or "items" not in page:
            asked = {**query, "limit": str(_PAGE), "continue": token}
            page = self.request("GET", path, query=asked)
            yield from page["items"] or ()

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object that must not exist yet."""
        return self.request("POST", path, body, query={"fieldManager": FIELD_MANAGER})

    def merge(
        self, path: str, body: Mapping[str, Any], *, manager: str = FIELD_MANAGER
    ) -> dict[str, Any]:
        """Change the named keys; a `resourceVersion` in the body guards against other changes."""
        return self.request(
            "PATCH", path, body, content_type=MERGE_PATCH, query={"fieldManager": manager}
        )

    def apply(self, path: str, body: Mapping[str, Any], *, force: bool = False) -> dict[str, Any]:
        """Server-side apply: own exactly the fields of the body."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        return self.request("PATCH", path, body, content_type=APPLY_PATCH, query=query)

    def delete(self, path: str, *, uid: str, resource_version: str | None = None) -> None:
        """Delete exactly this object, as read; one that is gone already is success."""
        guards = {"uid": uid}
        if resource_version:
            guards["resourceVersion"] = resource_version
        try:
            self.request("DELETE", path, {"preconditions": guards})
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Ask, and ask again while the trouble may pass.

        Raises:
            Conflict: See there; the caller reads again and decides anew.
            ApiError: Any other refusal.
            Unreachable: No sensible answer for `Patience.trouble`.
        """
        url = path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "Content-Type": content_type}
        trouble = _Trouble(f"{method} {path}")
        while True:
            reply = self._asked_once(method, url, sent, headers)
            if reply.is_distrusted:
                raise self._gave_up(trouble.request, reply.said)
            ends_at = self._borne_until(method, reply, trouble)
            if ends_at is None:
                self._is_shaken = self._is_shaken and reply.status in _NOT_LET_IN
                return reply.answer(trouble)
            if not reply.status and (last_words := self._proxy.last_words()) is not None:
                self._restart_kubectl(trouble, last_words)
                continue
            trouble.met(reply)
            self._is_shaken = self._is_shaken or reply.status not in _NOT_LET_IN
            if reply.status == http.HTTPStatus.UNAUTHORIZED and not trouble.renewed:
                # A token lives for 15 minutes, and so may the function.
                trouble.renewed = True
                self._sign_in_again()
                continue
            if time.monotonic() + trouble.pause >= ends_at:
                if reply.status in _NOT_LET_IN:
                    self._first_refused_at = -math.inf
                if reply.kubernetes_status:
                    return reply.answer(trouble)
                raise self._gave_up(trouble.request, reply.said)
            trouble.renewed = False
            try:
                self.deadline.sleep(trouble.next_pause(reply))
            except OutOfTime as late:
                raise OutOfTime(f"{trouble.request}: got {reply.said!r}, and {late}") from late

    def _borne_until(self, method: str, reply: _Reply, trouble: _Trouble) -> float | None:
        """Until when the same is asked again, None when the reply is final."""
        if reply.status not in _NOT_LET_IN:
            return trouble.since + self._patience.trouble if reply.may_pass else None
        if reply.status == http.HTTPStatus.FORBIDDEN and method != "GET":
            # Mostly an admission webhook's last word: reads came first, and were let in.
            glance = min(self._patience.glance, self._patience.trouble)
            return trouble.denied_since() + glance if self._is_shaken else None
        if self._first_refused_at is None:
            self._first_refused_at = time.monotonic()
        return self._first_refused_at + self._patience.settling

    def _asked_once(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> _Reply:
        try:
            timeout = min(self._patience.request, self.deadline.remaining())
        except OutOfTime as late:
            raise OutOfTime(f"{method} {url.partition('?')[0]}: {late}") from late
        try:
            if self._connection is None:
                self._connection = self._proxy.open(timeout)
            elif self._connection.sock is not None:
                self._connection.sock.settimeout(timeout)
            self._connection.request(method, url, body, dict(headers))
            response = self._connection.getresponse()
            retry_after = response.headers.get("Retry-After", "")
            return _Reply(
                response.status,
                response.read(),
                float(retry_after) if retry_after.isdigit() else 0.0,
            )
        except (OSError, http.client.HTTPException) as error:
            self._disconnect()
            return _Reply(0, f"no answer ({str(error) or type(error).__name__})".encode())

    def _restart_kubectl(self, trouble: _Trouble, last_words: str) -> None:
        if trouble.restarted:
            raise Failure(
                f"{trouble.request}: kubectl must keep running, got it ended twice with "
                f"{last_words!r}; see this function's log, and whether it has memory enough"
            )
        log("kubectl has ended", level="WARNING", said=last_words)
        trouble.restarted = True
        self._sign_in_again()

    def _gave_up(self, request: str, said: str) -> Unreachable:
        return Unreachable(
            f"{request}: the API server of {self._cluster.name} at {self._cluster.endpoint} must "
            f"answer, got {said!r}; check that the cluster is up, that this function's subnets and "
            "security group reach its endpoint, and that the certificate authority is its own"
        )

    def _signed_in(self) -> KubectlProxy:
        return KubectlProxy(self._cluster, eks_token(self._cluster.name), self.deadline)

    def _sign_in_again(self) -> None:
        self._disconnect()
        self._proxy.close()
        self._proxy = self._signed_in()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


_NOT_LET_IN = (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN)
_FIXES = {
    http.HTTPStatus.UNAUTHORIZED: "; give this function's role an access entry of the cluster (or "
    "a line in its aws-auth)",
    http.HTTPStatus.FORBIDDEN: "; let this function's access entry reach that "
    "namespace, also in the deploy that removes its last account",
}
# In the words of Kubernetes' authorizer. Others forbid too: webhooks, policies, quotas.
_NOT_AUTHORIZED = re.compile(r'User ".*" cannot ')


class _Trouble:
    """What one request has met so far."""

    def __init__(self, request: str) -> None:
        self.request = request
        self.since = time.monotonic()
        self.pause = 0.25
        self._denied_at = 0.0
        self.renewed = self.restarted = self.had_silence = False
        self._is_told = False

    def met(self, reply: _Reply) -> None:
        """Remember a reply after which the same is asked again."""
        self.had_silence = self.had_silence or reply.status not in (
            *_NOT_LET_IN,
            http.HTTPStatus.TOO_MANY_REQUESTS,
        )
        if not self._is_told and time.monotonic() - self.since > _TOLD_AFTER_SECONDS:
            self._is_told = True
            log("still waiting", level="WARNING", request=self.request, awaited=reply.awaited)
        log("asking again", level="WARNING", request=self.request, said=reply.said)

    def denied_since(self) -> float:
        """When the request was first forbidden."""
        if not self._denied_at:
            self._denied_at, self.pause = time.monotonic(), 0.25
        return self._denied_at

    def next_pause(self, reply: _Reply) -> float:
        """Seconds until the next attempt, longer each time."""
        pause = self.pause * random.uniform(0.5, 1)  # noqa: S311
        self.pause = min(2 * self.pause, 8.0)
        return max(pause, min(reply.retry_after, _LONGEST_RETRY_AFTER))


@dataclass(frozen=True)
class _Reply:
    """One reply; status 0 when there was none."""

    status: int
    body: bytes
    retry_after: float = 0.0

    @property
    def kubernetes_status(self) -> dict[str, Any]:
        """The `Status` object of a refusal; empty when it is not the API server that speaks."""
        content = self._content or {}
        return content if content.get("kind") == "Status" else {}

    @property
    def said(self) -> str:
        told = self.kubernetes_status.get("message")
        return str(told or self.body[:_TOLD_BYTES].decode(errors="replace").strip())

    @property
    def is_distrusted(self) -> bool:
        """Whether kubectl does not trust the server's certificate: asking again changes nothing."""
        return b"x509:" in self.body and not self.kubernetes_status

    @property
    def may_pass(self) -> bool:
        """Whether it is trouble that may pass, when the same is asked again."""
        return (
            self.status in (0, http.HTTPStatus.TOO_MANY_REQUESTS)
            or self.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
            or (self.status < http.HTTPStatus.BAD_REQUEST and self._content is None)
        )

    @property
    def awaited(self) -> str:
        """What is waited for, while this is the reply."""
        if self.status in _NOT_LET_IN:
            return "the cluster's access entry for this function's role"
        return "an answer of the cluster's API server"

    @property
    def _content(self) -> dict[str, Any] | None:
        try:
            content = json.loads(self.body)
        except ValueError:
            return None
        return content if isinstance(content, dict) else None

    def answer(self, trouble: _Trouble) -> dict[str, Any]:
        """The object asked for.

        Raises:
            ApiError: It is refused.
        """
        if self.status < http.HTTPStatus.BAD_REQUEST and self._content is not None:
            return self._content
        reason = self.kubernetes_status.get("reason") or http.client.responses[self.status]
        kind = Conflict if reason == "Conflict" else ApiError
        fix = next((fix for status, fix in _FIXES.items() if status == self.status), "")
        if self.status == http.HTTPStatus.FORBIDDEN and not _NOT_AUTHORIZED.search(self.said):
            fix = ""
        error = kind(trouble.request, self.status, reason, self.said, fix)
        error.follows_silence = trouble.had_silence
        raise error
