"""How long which trouble is borne, on a clock that moves with each request and each wait."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import custom_resource
from custom_resource import Deadline, Failure
from kubernetes_api import connection, deadline_part
from kubernetes_api.cluster import Cluster
from kubernetes_api.connection import Api, ApiError, Patience, Unreachable
from kubernetes_api.kubectl_proxy import KubectlProxy
from tests.support.api_server import ApiServer, Reply, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATH = "/api/v1/namespaces/apps/serviceaccounts/api"
UNAUTHORIZED = refusal(401, "Unauthorized", "Unauthorized")
FORBIDDEN = refusal(403, "Forbidden", 'User "f" cannot get resource "serviceaccounts"')
SILENCE = Reply(502, "dial tcp: lookup ABC.eks.amazonaws.com: no such host")
BY_EVENT = {
    "Create": Patience(trouble=300.0),
    "Update": Patience(),
    "Delete": Patience(settling=45.0),
}


class Clock:
    """A request takes 0.1 s, a wait what it says, and neither any time."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    cluster = Cluster.from_properties({"Cluster": server.connection})
    proxy = KubectlProxy(cluster, "token", Deadline(20))
    clock, close = Clock(), proxy.close
    monkeypatch.setattr(proxy, "close", lambda: None)
    monkeypatch.setattr(connection, "KubectlProxy", lambda *_: proxy)
    for module in (custom_resource, deadline_part, connection):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(connection, "PATIENCE", BY_EVENT)
    server.put(PATH, {})
    yield clock
    close()


def in_turn(clock: Clock, *spells: tuple[float, Reply]) -> Callable[[str, str], Reply | None]:
    """Each reply for so many seconds, and then the server as it is."""

    def reply(_method: str, _path: str) -> Reply | None:
        clock.now += 0.1
        ends = 0.0
        for seconds, given in spells:
            ends += seconds
            if clock.now < ends:
                return given
        return None

    return reply


def api(server: ApiServer, event: str, seconds: float = 797.0) -> Api:
    return Api(Cluster.from_properties({"Cluster": server.connection}), Deadline(seconds), event)


@pytest.mark.parametrize(
    "spells",
    [
        [(50, UNAUTHORIZED)],
        [(50, FORBIDDEN)],
        [(200, FORBIDDEN)],
        [(50, SILENCE), (5, UNAUTHORIZED)],
        [(60, SILENCE), (20, UNAUTHORIZED), (20, FORBIDDEN)],
        [(120, SILENCE)],
        [(200, SILENCE), (100, UNAUTHORIZED)],
    ],
    ids=lambda spells: ", ".join(f"{reply.status} for {seconds}" for seconds, reply in spells),
)
def test_what_a_new_cluster_does_at_first_is_borne_in_a_creation(
    server: ApiServer, clock: Clock, spells: list[tuple[float, Reply]]
) -> None:
    """A4 of the audit against AWS: access entries and endpoints settle late."""
    server.trouble = in_turn(clock, *spells)

    with api(server, "Create") as connected:
        assert connected.get(PATH)


@pytest.mark.parametrize(
    ("event", "reply", "at_most"),
    [
        ("Create", FORBIDDEN, 360),
        ("Create", UNAUTHORIZED, 360),
        ("Create", SILENCE, 320),
        ("Update", FORBIDDEN, 360),
        ("Update", SILENCE, 140),
        ("Delete", FORBIDDEN, 60),
        ("Delete", UNAUTHORIZED, 60),
        ("Delete", SILENCE, 140),
    ],
)
def test_what_stays_fails_in_time_with_its_reason(
    server: ApiServer, clock: Clock, event: str, reply: Reply, at_most: float
) -> None:
    server.trouble = lambda _method, _path: reply
    told = reply.body["message"] if isinstance(reply.body, dict) else reply.body

    with api(server, event) as connected, pytest.raises(Failure) as failure:
        connected.get(PATH)

    assert told in str(failure.value)
    assert at_most / 2 < clock.now < at_most


def test_a_denial_after_the_window_is_final_at_once(server: ApiServer, clock: Clock) -> None:
    server.trouble = lambda _method, _path: FORBIDDEN
    with api(server, "Create") as connected:
        with pytest.raises(ApiError):
            connected.get(PATH)
        before = clock.now

        with pytest.raises(ApiError):
            connected.get(PATH)

        assert clock.now - before < 1


def test_the_log_says_what_is_waited_for(
    server: ApiServer, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    server.trouble = in_turn(clock, (100, FORBIDDEN))

    with api(server, "Create") as connected:
        connected.get(PATH)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["awaited"] for line in lines if line["message"] == "still waiting"] == [
        "the cluster's access entry for this function's role"
    ]


def test_time_to_undo_is_kept_while_an_access_entry_is_waited_for(
    server: ApiServer, clock: Clock
) -> None:
    server.trouble = lambda _method, _path: FORBIDDEN

    with (
        api(server, "Create", seconds=100.0) as connected,
        pytest.raises(Failure, match=r"GET .*serviceaccounts/api: got .*cannot get.* must end"),
    ):
        connected.get(PATH)

    assert clock.now < 100


def test_a_pause_that_the_server_asks_for_is_not_for_ever(server: ApiServer, clock: Clock) -> None:
    """F15, B20b: `Retry-After: 86400` once."""
    later = refusal(429, "TooManyRequests", "slow down", Retry_After="86400")
    server.trouble = in_turn(clock, (1, later))

    with api(server, "Update") as connected:
        assert connected.get(PATH)


@pytest.mark.parametrize("reply", [SILENCE, Reply(503, "no")])
def test_a_write_that_is_forbidden_by_a_server_that_has_just_come_back_is_borne(
    server: ApiServer, clock: Clock, reply: Reply
) -> None:
    """B36: its cache of who may do what is not warm."""
    denied = refusal(403, "Forbidden", 'User "f" cannot patch resource "serviceaccounts"')
    with api(server, "Update") as connected:
        connected.get(PATH)
        server.trouble = in_turn(clock, (clock.now + 20, reply), (2, denied))

        connected.merge(PATH, {"metadata": {"labels": {"a": "b"}}})

    assert server.objects[PATH]["metadata"]["labels"] == {"a": "b"}


def test_a_write_that_is_forbidden_later_is_final(server: ApiServer, clock: Clock) -> None:
    denied = refusal(403, "Forbidden", 'User "f" cannot patch resource "serviceaccounts"')
    with api(server, "Update") as connected:
        server.trouble = in_turn(clock, (20, SILENCE))
        connected.get(PATH)
        server.trouble = in_turn(clock, (clock.now + 2, denied))

        with pytest.raises(ApiError, match="cannot patch"):
            connected.merge(PATH, {"metadata": {"labels": {"a": "b"}}})


@pytest.mark.parametrize(
    ("said", "has_hint"),
    [
        ('User "f" cannot patch resource "serviceaccounts" in API group ""', True),
        ('admission webhook "x" denied the request: no', False),
        ("unable to create new content in namespace apps because it is being terminated", False),
        ("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1", False),
    ],
)
def test_only_who_is_not_let_in_is_told_to_look_at_the_access_entry(
    server: ApiServer, clock: Clock, said: str, *, has_hint: bool
) -> None:
    """F15."""
    assert clock.now == 0
    server.trouble = lambda _method, _path: refusal(403, "Forbidden", said)

    with api(server, "Update") as connected, pytest.raises(ApiError) as failure:
        connected.merge(PATH, {})

    assert ("access entry" in str(failure.value)) is has_hint


def test_a_page_in_place_of_an_answer_is_trouble_that_may_pass(
    server: ApiServer, clock: Clock
) -> None:
    """F7, A37."""
    server.trouble = in_turn(clock, (10, Reply(200, "<html>proxy</html>")))

    with api(server, "Update") as connected:
        assert connected.get(PATH)


def test_a_page_that_stays_is_told(server: ApiServer, clock: Clock) -> None:
    assert clock.now == 0
    server.trouble = lambda _method, _path: Reply(200, "<html>proxy</html>")

    with api(server, "Update") as connected, pytest.raises(Unreachable, match="<html>proxy"):
        connected.get(PATH)


def test_a_write_whose_answer_was_lost_may_have_been_done(server: ApiServer, clock: Clock) -> None:
    """F13."""
    conflict = refusal(409, "Conflict", "modified")
    with api(server, "Update") as connected:
        server.trouble = lambda _method, _path: conflict
        with pytest.raises(ApiError) as surely_not:
            connected.merge(PATH, {})
        server.trouble = in_turn(clock, (clock.now + 5, SILENCE), (999, conflict))
        with pytest.raises(ApiError) as perhaps:
            connected.merge(PATH, {})

    assert not surely_not.value.follows_silence
    assert perhaps.value.follows_silence
