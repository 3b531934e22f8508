"""The map of access as Mermaid flowcharts, one for each namespace."""

from collections.abc import Iterator
from typing import Any

EDGES_AT_MOST = 150

_ARROWS = {"certain": "-->", "conditional": "-.->", "unknown": "-.->|unknown|", "denied": "--x"}


def mermaid(report: dict[str, Any]) -> str:
    """Return the charts of *report*, each below what Mermaid draws by default."""
    grants = report["grants"]
    if len(grants) <= EDGES_AT_MOST:
        return "\n".join(_chart(grants)) + "\n"
    namespaces = sorted({one["namespace"] for one in grants})
    charts: list[str] = []
    for namespace in namespaces:
        mine = [one for one in grants if one["namespace"] == namespace]
        charts += [
            "\n".join([f"%% namespace {namespace}", *_chart(mine[at : at + EDGES_AT_MOST])])
            for at in range(0, len(mine), EDGES_AT_MOST)
        ]
    return "\n\n".join(charts) + "\n"


def _chart(grants: list[dict[str, Any]]) -> Iterator[str]:
    yield "flowchart LR"
    names: dict[tuple[str, str], str] = {}
    for one in grants:
        account = (f"account {one['cluster']}", one["subject"])
        role = ("role", one["role"])
        for key, shape in ((account, '(["{}"])'), (role, '["{}"]')):
            if key not in names:
                names[key] = f"n{len(names)}"
                yield f"  {names[key]}{shape.format(_escaped(key[1]))}"
        yield f"  {names[account]} {_ARROWS[one['certainty']]} {names[role]}"


def _escaped(text: str) -> str:
    return (
        text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    )
