from __future__ import annotations

import json
import threading
import time

import pytest

from custom_resource import Answer, Deadline, Failure, OutOfTime, Request, answer, listed
from tests.support.cloudformation import STACK_ID, Context, ResponseUrl, event

LOG_STREAM = "/aws/lambda/function 2026/11/23/[$LATEST]0123"
EVERY_TYPE = pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])


def works(_request, _deadline):
    return Answer("the-thing", {"Colour": "red"})


def fails(_request, _deadline):
    raise Failure("the colour must be red, got 'blue'; paint it")


def breaks(_request, _deadline):
    raise KeyError("Colour")


def leaves(_request, _deadline):
    raise SystemExit(1)


def hangs(_request, _deadline):
    threading.Event().wait(20)


def polls_for_ever(_request, deadline):
    while True:
        deadline.sleep(0.01)


def named(_request):
    return "the-thing"


def run(work, request_type="Create", *, statuses=(), context=None, physical_id=named, **options):
    with ResponseUrl(*statuses) as response_url:
        made = event(request_type, response_url.url)
        answer(made, context or Context(), work, physical_id=physical_id, **options)
    return response_url


@EVERY_TYPE
def test_answers_success_once_with_the_data(request_type):
    assert run(works, request_type).only_response == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "the-thing",
        "StackId": STACK_ID,
        "LogicalResourceId": "Thing",
        "RequestId": "b6b5e7b1-7d5f-4b1c-9d41-1a2b3c4d5e6f",
        "Data": {"Colour": "red"},
    }


@EVERY_TYPE
@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (fails, "the colour must be red, got 'blue'; paint it"),
        (breaks, f"unexpected KeyError; its traceback is in the log, {LOG_STREAM}"),
        (leaves, f"unexpected SystemExit; its traceback is in the log, {LOG_STREAM}"),
    ],
)
def test_answers_a_failure_once_with_its_reason(request_type, work, reason):
    assert run(work, request_type).only_response == {
        "Status": "FAILED",
        "Reason": reason,
        "PhysicalResourceId": "the-thing",
        "StackId": STACK_ID,
        "LogicalResourceId": "Thing",
        "RequestId": "b6b5e7b1-7d5f-4b1c-9d41-1a2b3c4d5e6f",
    }


@EVERY_TYPE
def test_the_watchdog_answers_once_for_work_that_hangs(request_type):
    started = time.monotonic()
    response = run(hangs, request_type, work_seconds=0.1, grace_seconds=0.1).only_response
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith("gave up after 0 s: the work did not end at its deadline")
    assert time.monotonic() - started < 2


def test_the_work_ends_before_the_watchdog_at_its_deadline():
    response = run(polls_for_ever, work_seconds=0.1).only_response
    assert response["Reason"] == "the work must end within 0 s and did not"


def test_the_deadline_follows_the_functions_own_time():
    deadlines = []

    def work(_request, deadline):
        deadlines.append(deadline.seconds)
        return Answer("the-thing")

    run(work, context=Context(seconds=60), grace_seconds=3, answer_seconds=10)
    run(work, context=Context(seconds=60), work_seconds=25)
    assert deadlines == [pytest.approx(47, abs=0.1), pytest.approx(25)]


def test_work_given_up_meets_an_expired_deadline():
    gate, seen = threading.Event(), []

    def work(_request, deadline):
        gate.wait(20)
        try:
            deadline.remaining()
        except OutOfTime:
            seen.append("out of time")
        gate.clear()

    run(work, work_seconds=0.05, grace_seconds=0.05)
    gate.set()
    while gate.is_set():
        time.sleep(0.01)
    assert seen == ["out of time"]


def test_no_time_at_all_is_answered_too():
    assert run(polls_for_ever, context=Context(seconds=1)).only_response["Status"] == "FAILED"


def test_a_failed_update_keeps_the_physical_id_of_the_event():
    response = run(fails, "Update", physical_id=lambda _request: "another-thing").only_response
    assert response["PhysicalResourceId"] == "the-thing"


def test_an_update_may_answer_with_a_new_physical_id():
    response = run(lambda _request, _deadline: Answer("a-new-thing"), "Update").only_response
    assert response["PhysicalResourceId"] == "a-new-thing"


def test_a_delete_answers_with_the_id_of_the_event_whatever_the_work_says():
    response = run(lambda _request, _deadline: Answer("mistaken"), "Delete").only_response
    assert response["PhysicalResourceId"] == "the-thing"


def test_a_failed_create_without_a_nameable_thing_takes_the_logical_id():
    def unnameable(_request):
        raise KeyError("Colour")

    assert run(fails, physical_id=unnameable).only_response["PhysicalResourceId"] == "Thing"


def test_the_content_type_is_empty():
    assert run(works).puts[0].headers["content-type"] == ""


def test_delivers_again_what_was_not_taken():
    response_url = run(works, statuses=[500, 503, 200])
    assert [put["Status"] for put in response_url.responses] == ["SUCCESS"] * 3
    assert len({put.body for put in response_url.puts}) == 1


def test_delivers_no_more_after_a_403():
    assert len(run(works, statuses=[403]).puts) == 1


def test_stops_delivering_when_the_functions_time_is_over():
    started = time.monotonic()
    response_url = run(
        works, statuses=[503] * 99, context=Context(seconds=1), answer_seconds=0.5, grace_seconds=0
    )
    assert len(response_url.puts) >= 2
    assert time.monotonic() - started < 2


def test_a_response_url_that_nobody_serves_is_no_crash():
    with ResponseUrl() as response_url:
        pass
    answer(event("Create", response_url.url), Context(seconds=0.6), works, physical_id=named)


@pytest.mark.parametrize("url", ["", "no url", "ftp://host/key", "http://host/s3cr3t key"])
def test_a_response_url_that_is_none_is_no_crash(url, capsys):
    answer(event("Create", url), Context(seconds=0.4), works, physical_id=named)
    assert "s3cr3t" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["x" * 9000, "é" * 9000, '"\n\x00' * 9000, "\ud800" * 9000])
def test_a_long_reason_is_cut_to_fit(text):
    def work(_request, _deadline):
        raise Failure(text)

    response_url = run(work)
    assert response_url.only_response["Reason"].endswith(" ...")
    assert 2000 < len(response_url.puts[0].body) < 4096


@pytest.mark.parametrize("text", ["x" * 9000, "証" * 3000, '"' * 9000])
def test_what_is_done_is_not_told_as_failed_because_there_is_much_to_tell(text):
    """F16: JSON writes six bytes for a Japanese letter."""
    data = {"Thumbprints": "a" * 40, "Warnings": text}
    response_url = run(lambda _request, _deadline: Answer("the-thing", data))
    response = response_url.only_response
    assert response["Status"] == "SUCCESS"
    assert response["Data"]["Thumbprints"] == "a" * 40
    assert response["Data"]["Warnings"].endswith(" ...")
    assert 2000 < len(response_url.puts[0].body) < 4096


def test_data_that_fits_is_not_cut():
    response = run(lambda _request, _deadline: Answer("the-thing", {"Colour": "x" * 3000}))
    assert response.only_response["Data"] == {"Colour": "x" * 3000}


def test_data_that_is_no_json_is_a_failure():
    response = run(
        lambda _request, _deadline: Answer("the-thing", {"Colour": b"red"})
    ).only_response
    assert response["Reason"].startswith("unexpected TypeError;")


@pytest.mark.parametrize("work", [works, fails, breaks])
@pytest.mark.parametrize("statuses", [[], [503, 200], [403]])
def test_the_log_is_json_lines_without_the_response_url(work, statuses, capsys):
    run(work, statuses=statuses)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) >= 3
    assert all(line["level"] and line["message"] for line in lines)
    assert "X-Amz-Signature" not in json.dumps(lines)


def test_the_traceback_of_broken_work_is_logged(capsys):
    run(breaks)
    assert "in breaks" in capsys.readouterr().out


def test_the_work_sees_neither_response_url_nor_the_protocols_own_properties():
    requests = []

    def work(request, _deadline):
        requests.append(request)
        return Answer("the-thing")

    with ResponseUrl() as response_url:
        made = event(
            "Update", response_url.url, {"Colour": "red"}, old_properties={"Colour": "blue"}
        )
        answer(made, Context(), work, physical_id=named)
    assert requests == [
        Request(
            type="Update",
            physical_id="the-thing",
            properties={"Colour": "red"},
            old_properties={"Colour": "blue"},
            stack_id=STACK_ID,
            logical_id="Thing",
            request_id="b6b5e7b1-7d5f-4b1c-9d41-1a2b3c4d5e6f",
        )
    ]


def test_an_empty_event_is_no_crash():
    answer({}, Context(), works, physical_id=named)


def test_a_deadline_refuses_a_sleep_that_would_pass_it():
    started = time.monotonic()
    with pytest.raises(OutOfTime, match="the work must end within 5 s and did not"):
        Deadline(5).sleep(5)
    assert time.monotonic() - started < 1


def test_lists_ten_texts_and_counts_the_rest():
    assert listed(map(str, range(12))) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more"
    assert listed(["0", "1", "2"], ", ", most=2) == "0, 1, and 1 more"
    assert listed(["0"]) == "0"
