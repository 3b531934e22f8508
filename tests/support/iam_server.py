"""IAM's three calls on the policies of node roles, over HTTP, with each call's time."""

from __future__ import annotations

import datetime as dt
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


class Call(NamedTuple):
    """One call that was answered with success."""

    time: dt.datetime
    action: str
    role: str
    policy: str


@dataclass
class IamServer:
    """IAM on loopback, for boto3's `AWS_ENDPOINT_URL_IAM`.

    Args:
        roles: policy ARNs of each role, by its name.
        denied: actions, or action and role with a blank between, that are refused.
        busy: error codes of passing trouble with which an action is answered next.
        listed: what lists tell, as long as they are late; None when they are not.
        before_change: is called before each attachment and detachment that changes something.
    """

    roles: dict[str, list[str]]
    denied: set[str] = field(default_factory=set)
    busy: dict[str, list[str]] = field(default_factory=dict)
    listed: dict[str, list[str]] | None = None
    before_change: Callable[[Call], None] = lambda _: None
    calls: list[Call] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            # As in the small API server: headers and body are two writes.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = outer._answer(dict(urllib.parse.parse_qsl(body)))
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self, roles: dict[str, list[str]]) -> None:
        """Begin anew with these roles, and let everything be done."""
        self.roles, self.denied, self.calls = roles, set(), []
        self.busy, self.listed = {}, None
        self.before_change = lambda _: None

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes boto3 talk to it."""
        return {
            "AWS_ENDPOINT_URL_IAM": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """Action, role and name of the policy of each change, in order."""
        return [
            (call.action, call.role, call.policy.rpartition("/")[2])
            for call in self.calls
            if call.action != "ListAttachedRolePolicies"
        ]

    def _trouble(self, action: str, role: str) -> str:
        """An error code that stands in the way of any answer."""
        if self.busy.get(action):
            return self.busy[action].pop(0)
        return "" if role in self.roles else "NoSuchEntity"

    def _answer(self, asked: Mapping[str, str]) -> tuple[int, bytes]:
        action, role = asked["Action"], asked["RoleName"]
        call = Call(dt.datetime.now(dt.UTC), action, role, asked.get("PolicyArn", ""))
        if {action, f"{action} {role}"} & self.denied:
            return 403, _error("AccessDenied", f"not authorized to perform: iam:{action}")
        if code := self._trouble(action, role):
            return 400, _error(code, f"The role with name {role} cannot be found.")
        policies = self.roles[role]
        if action == "ListAttachedRolePolicies":
            self.calls.append(call)
            return 200, _listed(policies if self.listed is None else self.listed[role])
        if action == "AttachRolePolicy" and call.policy in policies:
            return 200, _document(action, "")
        self.before_change(call)
        if action == "DetachRolePolicy":
            if call.policy not in policies:
                return 404, _error("NoSuchEntity", f"Policy {call.policy} was not found.")
            policies.remove(call.policy)
        else:
            policies.append(call.policy)
        self.calls.append(call)
        return 200, _document(action, "")


def _listed(policies: Sequence[str]) -> bytes:
    members = "".join(
        f"<member><PolicyName>{arn.rpartition('/')[2]}</PolicyName>"
        f"<PolicyArn>{arn}</PolicyArn></member>"
        for arn in policies
    )
    return _document(
        "ListAttachedRolePolicies",
        f"<AttachedPolicies>{members}</AttachedPolicies><IsTruncated>false</IsTruncated>",
    )


def _document(action: str, result: str) -> bytes:
    return (
        f'<{action}Response xmlns="{_NAMESPACE}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>request</RequestId></ResponseMetadata></{action}Response>"
    ).encode()


def _error(code: str, message: str) -> bytes:
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>request</RequestId></ErrorResponse>"
    ).encode()
