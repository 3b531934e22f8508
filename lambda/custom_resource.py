"""The CloudFormation custom resource protocol: one answer to each event, on every path.

A function's handler hands its event to `answer` together with the work to do. The work runs beside
the handler's own thread, so that the handler can still answer when the work hangs. Three times end
one after the other: the work's deadline, the watchdog that gives the work up, and the function's
timeout. The resource's `ServiceTimeout` lies after all three.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
"""

from __future__ import annotations

import http
import http.client
import json
import math
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# The whole response must stay under this.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
RESPONSE_LIMIT_BYTES = 4096
# What CloudFormation itself adds to a resource's properties.
PROTOCOL_PROPERTIES = frozenset({"ServiceToken", "ServiceTimeout"})


class Failure(Exception):  # noqa: N818 - the protocol's word, and what people read
    """A reason why the work cannot be done, in words that a person can act on."""


class OutOfTime(Failure):
    """The work's deadline has passed."""


class LambdaContext(Protocol):
    """The part of Lambda's context object that the protocol needs."""

    log_group_name: str
    log_stream_name: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda stops the function."""


@dataclass(frozen=True)
class Request:
    """What CloudFormation asks for, without the `ResponseURL`: that is a credential."""

    type: str
    physical_id: str | None
    properties: Mapping[str, Any]
    old_properties: Mapping[str, Any]
    stack_id: str
    logical_id: str
    request_id: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Request:
        """The request that a Lambda event carries."""
        return cls(
            type=event.get("RequestType", ""),
            physical_id=event.get("PhysicalResourceId"),
            properties=_own_properties(event.get("ResourceProperties")),
            old_properties=_own_properties(event.get("OldResourceProperties")),
            stack_id=event.get("StackId", ""),
            logical_id=event.get("LogicalResourceId", ""),
            request_id=event.get("RequestId", ""),
        )


@dataclass(frozen=True)
class Answer:
    """What the work achieved: the resource's physical id and the values for `Fn::GetAtt`."""

    physical_id: str
    data: Mapping[str, str] = field(default_factory=dict)


class Deadline:
    """One end for all that the work does: timeouts of single steps do not add up to one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(0.0, seconds)
        self._end = time.monotonic() + self.seconds

    def remaining(self) -> float:
        """Seconds that are left, always above zero.

        Raises:
            OutOfTime: The deadline has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise OutOfTime(f"the work must end within {self.seconds:.0f} s and did not")
        return left

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            OutOfTime: The deadline comes before the end of the wait; raised at once.
        """
        if seconds >= self.remaining():
            raise OutOfTime(f"the work must end within {self.seconds:.0f} s and did not")
        time.sleep(seconds)


def log(message: str, *, level: str = "INFO", **facts: object) -> None:
    """Write one line of JSON to the function's log."""
    line = json.dumps({"level": level, "message": message, **facts}, default=str)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def listed(texts: Iterable[str], separator: str = "; ", *, most: int = 10) -> str:
    """The first few of many texts, and how many more there are: a reason has no room for all."""
    texts = list(texts)
    told = texts[:most]
    if len(texts) > len(told):
        told.append(f"and {len(texts) - len(told)} more")
    return separator.join(told)


def answer(
    event: Mapping[str, Any],
    context: LambdaContext,
    work: Callable[[Request, Deadline], Answer],
    *,
    physical_id: Callable[[Request], str],
    work_seconds: float = math.inf,
    grace_seconds: float = 3.0,
    answer_seconds: float = 10.0,
) -> None:
    """Do the work and answer CloudFormation exactly once. Never raises.

    Args:
        event: The Lambda event.
        context: The Lambda context.
        work: Does what the request asks for; raises `Failure` with the reason when it cannot. Runs
            in a thread of its own. Handles Delete too, and must then accept any physical id.
        physical_id: The id of a resource whose creation failed. CloudFormation sends a Delete for
            it. When this raises, the logical id serves.
        work_seconds: The longest that the work may take. The default is what the function's
            timeout leaves.
        grace_seconds: How long after its deadline the work is given up.
        answer_seconds: What is kept for the answer at the end of the function's time.
    """
    seconds = context.get_remaining_time_in_millis() / 1000
    ends_at = time.monotonic() + seconds
    deadline = Deadline(min(work_seconds, seconds - answer_seconds - grace_seconds))
    request = Request.from_event(event)
    log(
        f"{request.type} started",
        stack_id=request.stack_id,
        logical_id=request.logical_id,
        physical_id=request.physical_id,
        request_id=request.request_id,
        deadline_seconds=round(deadline.seconds, 1),
    )
    log_stream = f"{context.log_group_name} {context.log_stream_name}"
    responses: SimpleQueue[bytes] = SimpleQueue()

    def run() -> None:
        responses.put(_response(request, deadline, work, physical_id, log_stream))

    # A thread that hangs must not keep the process (nor a test) alive.
    threading.Thread(target=run, name="work", daemon=True).start()
    try:
        response = responses.get(timeout=deadline.seconds + grace_seconds)
    except Empty:
        reason = (
            f"gave up after {deadline.seconds + grace_seconds:.0f} s: the work did not end at "
            f"its deadline; its last step is in the log, {log_stream}"
        )
        response = _failed(request, _id_after_failure(request, physical_id), reason)
    _put(event.get("ResponseURL", ""), response, ends_at)


def _response(
    request: Request,
    deadline: Deadline,
    work: Callable[[Request, Deadline], Answer],
    physical_id: Callable[[Request], str],
    log_stream: str,
) -> bytes:
    try:
        result = _checked(request, work(request, deadline))
        response = _succeeded(request, result)
    except Failure as failure:
        reason = str(failure)
    except BaseException as error:  # noqa: BLE001 - whatever happens, CloudFormation is answered
        log("the work broke", level="ERROR", traceback=traceback.format_exc())
        reason = f"unexpected {type(error).__name__}; its traceback is in the log, {log_stream}"
    else:
        log(f"{request.type} done", physical_id=result.physical_id, data=dict(result.data))
        return response
    return _failed(request, _id_after_failure(request, physical_id), reason)


def _checked(request: Request, result: Answer) -> Answer:
    # An answer to Delete with another id than the event's would be refused.
    if request.type == "Delete" and request.physical_id:
        return Answer(request.physical_id, result.data)
    return result


def _id_after_failure(request: Request, physical_id: Callable[[Request], str]) -> str:
    # A new id after a failed Update would read as a replacement, and the old resource be deleted.
    if request.physical_id:
        return request.physical_id
    try:
        return physical_id(request)
    except Exception:  # noqa: BLE001 - the properties may be what failed
        return request.logical_id


def _succeeded(request: Request, result: Answer) -> bytes:
    # What is done must not be told as failed because there is much to tell.
    data = dict(result.data)
    while True:
        response = _encoded(request, result.physical_id, "SUCCESS", Data=data)
        longest = max(data, key=lambda name: len(json.dumps(data[name])), default="")
        if len(response) < RESPONSE_LIMIT_BYTES or not data.get(longest):
            return response
        data[longest] = _shorter(data[longest])
        log("cut in the answer", level="WARNING", name=longest)


def _shorter(text: str) -> str:
    kept = text.removesuffix(" ...")
    return f"{kept[: len(kept) * 3 // 4]} ..." if len(kept) > 1 else ""


def _failed(request: Request, physical_id: str, reason: str) -> bytes:
    log(f"{request.type} failed", level="ERROR", physical_id=physical_id, reason=reason)
    response = _encoded(request, physical_id, "FAILED", Reason=reason)
    while len(response) >= RESPONSE_LIMIT_BYTES and reason:
        reason = _shorter(reason)
        response = _encoded(request, physical_id, "FAILED", Reason=reason)
    return response


def _encoded(request: Request, physical_id: str, status: str, **more: object) -> bytes:
    return json.dumps(
        {
            "Status": status,
            "PhysicalResourceId": physical_id,
            "StackId": request.stack_id,
            "LogicalResourceId": request.logical_id,
            "RequestId": request.request_id,
            **more,
        }
    ).encode()


def _put(url: str, response: bytes, ends_at: float) -> None:
    """Deliver the response; the same bytes again when S3 does not take them at once."""
    pause = 0.25
    while (left := ends_at - time.monotonic()) > 0:
        try:
            # The signature covers an empty content type; urllib would fill in a form's.
            put = urllib.request.Request(  # noqa: S310 - the URL is CloudFormation's
                url, data=response, method="PUT", headers={"Content-Type": ""}
            )
            with urllib.request.urlopen(put, timeout=min(5.0, left)):  # noqa: S310 - likewise
                log("answered")
                return
        except urllib.error.HTTPError as error:
            log("answer not taken", level="WARNING", status=error.code)
            if error.code == http.HTTPStatus.FORBIDDEN:
                return  # the URL has expired or is not ours: it will not get better
        except (ValueError, http.client.InvalidURL) as error:
            # An error's message may hold the URL: only its kind is logged, here and below.
            log("no usable ResponseURL", level="ERROR", error=type(error).__name__)
            return
        except (OSError, http.client.HTTPException) as error:
            log("answer not delivered", level="WARNING", error=type(error).__name__)
        time.sleep(max(0.0, min(pause, ends_at - time.monotonic())))
        pause *= 2
    log("no time left to answer", level="ERROR")


def _own_properties(properties: object) -> Mapping[str, Any]:
    if not isinstance(properties, dict):
        return {}
    return {name: value for name, value in properties.items() if name not in PROTOCOL_PROPERTIES}
