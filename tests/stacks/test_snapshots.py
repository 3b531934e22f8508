"""One snapshot a stack: what a change means for a template. `make snapshots` rewrites them."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.support.templates import environment

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"


@pytest.mark.parametrize("stack", ["payments-dev-cluster", "payments-dev-service-accounts"])
def test_the_template_is_the_snapshot(stack):
    template = json.dumps(environment("dev").templates[stack], indent=1, sort_keys=True)
    # An asset is named after its content, and that has tests of its own.
    found = re.sub(r"[0-9a-f]{64}", "ASSET", template) + "\n"
    path = SNAPSHOTS / f"{stack}.json"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert json.loads(found) == json.loads(path.read_text()), "if it is meant: make snapshots"
