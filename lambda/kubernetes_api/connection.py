"""A cluster's API server: requests that are retried within bounds, errors in Kubernetes' words."""

from __future__ import annotations

import contextlib
import dataclasses
import http
import http.client
import json
import random
import time
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from custom_resource import Deadline, Failure, log
from kubernetes_api.eks_token import eks_token
from kubernetes_api.kubectl_proxy import KubectlProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubernetes_api.cluster import Cluster

# Who we are in an object's managedFields.
FIELD_MANAGER = "irsa-stack"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_PAGE = 500


@dataclass(frozen=True)
class Patience:
    """How long which trouble is borne, in seconds."""

    # One request: the API server itself gives up most after 60 s, an admission webhook after 30 s.
    request: float = 35.0
    # No answer, 429 or 5xx: an EKS control plane is replaced one server at a time.
    trouble: float = 120.0
    # A new access entry and its policies take a while to count.
    # https://docs.aws.amazon.com/eks/latest/userguide/access-policies.html
    settling: float = 45.0
    # What can do without an answer.
    glance: float = 5.0


PATIENCE = Patience()


class ApiError(Failure):
    """The API server's refusal."""

    def __init__(self, request: str, status: int, reason: str, message: str, fix: str = "") -> None:
        self.status = status
        self.reason = reason
        self.said = message
        super().__init__(f"{request}: Kubernetes says {message!r} ({status} {reason}){fix}")


class Conflict(ApiError):  # noqa: N818 - Kubernetes' word
    """The object is no longer as it was when we read it, or a field has another manager."""


class Unreachable(Failure):
    """The API server did not answer, or not sensibly, for as long as that is borne."""


class Api:
    """Requests to one cluster's API server. A context manager: close it to stop kubectl."""

    def __init__(self, cluster: Cluster, deadline: Deadline) -> None:
        self.deadline = deadline
        self._cluster = cluster
        self._patience = PATIENCE
        self._settled_at = time.monotonic() + self._patience.settling
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
    def at_a_glance(self) -> Iterator[None]:
        """Bear trouble for a moment only, where no answer is an answer too."""
        before, glance = self._patience, self._patience.glance
        self._patience = dataclasses.replace(before, trouble=min(before.trouble, glance))
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
        gives_up_at = time.monotonic() + self._patience.trouble
        pause, renewed = 0.25, False
        while True:
            reply = self._asked_once(method, url, sent, headers)
            if reply.is_distrusted:
                raise self._gave_up(f"{method} {path}", reply.said)
            if not reply.may_pass(method):
                return reply.answer(f"{method} {path}")
            if reply.status == http.HTTPStatus.UNAUTHORIZED and not renewed:
                # A token lives for 15 minutes, and so may the function.
                renewed = True
                self._sign_in_again()
                continue
            ends_at = self._settled_at if reply.status in _NOT_LET_IN else gives_up_at
            if time.monotonic() + pause >= ends_at:
                if reply.status and reply.kubernetes_status:
                    return reply.answer(f"{method} {path}")
                raise self._gave_up(f"{method} {path}", reply.said)
            log("asking again", level="WARNING", method=method, path=path, said=reply.said)
            renewed = False
            self.deadline.sleep(max(reply.retry_after, pause * random.uniform(0.5, 1)))  # noqa: S311
            pause = min(2 * pause, 8.0)

    def _asked_once(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> _Reply:
        timeout = min(self._patience.request, self.deadline.remaining())
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


@dataclass(frozen=True)
class _Reply:
    """One reply; status 0 when there was none."""

    status: int
    body: bytes
    retry_after: float = 0.0

    @property
    def kubernetes_status(self) -> dict[str, Any]:
        """The `Status` object of a refusal; empty when it is not the API server that speaks."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) and content.get("kind") == "Status" else {}

    @property
    def said(self) -> str:
        said = self.kubernetes_status.get("message") or self.body.decode(errors="replace").strip()
        return str(said)

    @property
    def is_distrusted(self) -> bool:
        """Whether kubectl does not trust the server's certificate: asking again changes nothing."""
        return b"x509:" in self.body and not self.kubernetes_status

    def may_pass(self, method: str) -> bool:
        """Whether asking the same again may help."""
        if self.status == http.HTTPStatus.FORBIDDEN:
            # A refused write is mostly an admission webhook's last word. Reads come first.
            return method == "GET"
        return (
            self.status in (0, http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.TOO_MANY_REQUESTS)
            or self.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
        )

    def answer(self, request: str) -> dict[str, Any]:
        """The object asked for.

        Raises:
            ApiError: It is refused.
        """
        if self.status < http.HTTPStatus.BAD_REQUEST:
            content: dict[str, Any] = json.loads(self.body)
            return content
        reason = self.kubernetes_status.get("reason") or http.client.responses[self.status]
        kind = Conflict if reason == "Conflict" else ApiError
        fix = next((fix for status, fix in _FIXES.items() if status == self.status), "")
        raise kind(request, self.status, reason, self.said, fix)
