"""Reports as Markdown, for a pull request."""

from collections.abc import Iterable, Sequence
from typing import Any

CHARACTERS_AT_MOST = 60_000
"""A comment on GitHub holds 65,536."""


def review_markdown(report: dict[str, Any]) -> str:
    """Return the findings."""
    rows = [
        (
            one["severity"],
            f"`{one['id']}`",
            _code(one["resource"]),
            _code(_place(one)),
            f"{one['message']}; {one['fix']}",
        )
        for one in report["findings"]
    ]
    table = _table(("severity", "rule", "resource", "where", "finding"), rows)
    return _page("Review of access", report, table)


def access_markdown(report: dict[str, Any]) -> str:
    """Return the map of access."""
    rows = [
        (
            _code(one["subject"]),
            _code(one["cluster"]),
            ", ".join(one["bound"]),
            _code(one["role"]),
            what_may(one),
            one["certainty"] + (f": {one['why']}" if one["why"] else ""),
        )
        for one in report["grants"]
    ]
    header = ("service account", "cluster", "bound by", "role", "may", "certainty")
    return _page("Access", report, _table(header, rows))


def diff_markdown(report: dict[str, Any]) -> str:
    """Return what changes: first what is more, then what is less, folded."""
    more = [one for one in report["changes"] if one["kind"] not in ("lost", "narrowed")]
    less = [one for one in report["changes"] if one["kind"] in ("lost", "narrowed")]
    header = ("change", "subject", "role", "what")
    parts = [_table(header, map(_change, more))] if more else []
    if less:
        table = _table(header, map(_change, less))
        count = len(less)
        parts.append(
            f"<details><summary>{count} lost or narrowed</summary>\n\n{table}\n\n</details>"
        )
    return _page("Change of access", report, "\n\n".join(parts))


def explain_markdown(report: dict[str, Any]) -> str:
    """Return the chain of one service account."""
    rows = [
        (one["name"], one["state"], _code(one["presented"]), _code(one["configured"]), one["fix"])
        for one in report["links"]
    ]
    header = ("link", "state", "presented", "configured", "cure")
    return _page(f"{report['subject']}", report, _table(header, rows))


def what_may(grant: dict[str, Any]) -> str:
    """Return in few words what a grant allows."""
    actions = [
        action
        for one in grant["permissions"]
        if one["effect"] == "Allow"
        for action in one.get("actions", [f"all but {' '.join(one.get('not_actions', []))}"])
    ]
    shown = list(dict.fromkeys(actions))
    few = ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")  # noqa: PLR2004 (what fits)
    policies = [f"{one['name']} ({one['access']})" for one in grant["managed_policies"]]
    return "; ".join(filter(None, [few, *policies])) or "nothing that was read"


def _change(one: dict[str, Any]) -> tuple[str, ...]:
    return one["kind"], _code(one["subject"]), _code(one["role"]), _cell(one["what"])


def _place(one: dict[str, Any]) -> str:
    return f"{one['path']}:{one['line']}" if one["line"] else one["path"]


def _page(title: str, report: dict[str, Any], body: str) -> str:
    unread = "".join(f"\n- {_cell(fault)}" for fault in report["unread"])
    text = f"## {title}\n\n**{_cell(report['summary']['sentence'])}**\n\n{body}\n"
    if len(text) > CHARACTERS_AT_MOST:
        cut = text[:CHARACTERS_AT_MOST].rpartition("\n")[0]
        left = text.count("\n", len(cut)) - 1
        text = f"{cut}\n\n{left} more lines are in the JSON report.\n"
        if cut.count("<details>") > cut.count("</details>"):
            text += "\n</details>\n"
    return text + (f"\nNot read:{unread}\n" if unread else "")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    lines += [f"| {' | '.join(_cell(one) for one in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`" if text else ""
