"""CloudFormation's events reach a function as every asynchronous event of Lambda does.

They may come late, twice, and again after a crash, within what the function's
`AWS::Lambda::EventInvokeConfig` allows; nobody waits for the function, only for its answer.

See: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import contextvars
import logging
import threading
import time
from typing import Any

from ministack.services import lambda_svc

from rehearsal.emulator import slowness

# Lambda's own values, where a function has none.
_OLDEST_SECONDS, _RETRIES = 21_600, 2

_execute = lambda_svc._execute_function_with_config_scope
_logger = logging.getLogger(__name__)


def install() -> None:
    """Deliver CloudFormation's events as Lambda would."""
    lambda_svc._execute_function_with_config_scope = execute


def execute(function: dict[str, Any], event: Any) -> Any:
    """Run a function; with an event of CloudFormation beside the caller."""
    if not isinstance(event, dict) or "ResponseURL" not in event:
        return _execute(function, event)
    for _ in range(slowness.current().copies):
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(_deliver, function, event), daemon=True).start()
    return {}


def _deliver(function: dict[str, Any], event: dict[str, Any]) -> None:
    slow = slowness.current()
    configuration = (function.get("event_invoke_configs") or {}).get("$LATEST") or {}
    oldest = configuration.get("MaximumEventAgeInSeconds", _OLDEST_SECONDS)
    sent_at = time.monotonic() - slow.waited
    for wait in [slow.events, *[slow.again] * configuration.get("MaximumRetryAttempts", _RETRIES)]:
        time.sleep(wait)
        if time.monotonic() - sent_at > oldest:
            _logger.warning("dropped %s of %s", event["RequestType"], event["LogicalResourceId"])
            return
        if not _execute(function, event).get("error"):
            return
