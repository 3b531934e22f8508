"""Reports as one page that needs nothing else: no network, no script to be read.

Texts of the sources are escaped; the only script and style are ours, named by their hashes.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from typing import Any

from irsa_stack.review.reports.markdown import what_may

ROWS_IN_GRAPH = 150

_ROW = 22
_WIDTH, _HEIGHT_OF_HEAD = 900, 30


def review_page(report: dict[str, Any]) -> str:
    """Return the findings as a page."""
    return _page("Review of access", report, [_findings(report["findings"])])


def access_page(report: dict[str, Any], findings: Sequence[dict[str, Any]] = ()) -> str:
    """Return the map of access as a page.

    Args:
        report: the map.
        findings: of the review of the same sources. Default: none.
    """
    parts = [_findings(findings)] if findings else []
    rows = [_grant_row(one) for one in report["grants"]]
    header = ("Service account", "Cluster", "Bound by", "Role", "May", "Certainty")
    parts.append(f"<h2>Access</h2>{_table('access', 'Who may do what', header, rows)}")
    parts.append(_graph(report["grants"]))
    return _page("Access", report, parts)


def diff_page(report: dict[str, Any]) -> str:
    """Return what changes as a page."""
    rows = [
        _row((_word(one["kind"]), _code(one["subject"]), _code(one["role"]), _text(one["what"])))
        for one in report["changes"]
    ]
    header = ("Change", "Subject", "Role", "What")
    table = _table("changes", "Changes", header, rows) if rows else ""
    return _page("Change of access", report, [table])


def _findings(findings: Sequence[dict[str, Any]]) -> str:
    rows = [
        _row(
            (
                _word(one["severity"]),
                _code(one["id"]),
                _code(one["resource"]),
                _code(f"{one['path']}:{one['line']}" if one["line"] else one["path"]),
                _text(f"{one['message']}; {one['fix']}"),
            ),
            keys=(str(("critical", "high", "medium", "low", "info").index(one["severity"])),),
        )
        for one in findings
    ]
    header = ("Severity", "Rule", "Resource", "Where", "Finding and cure")
    if not rows:
        return "<h2>Findings</h2><p>None.</p>"
    return f"<h2>Findings</h2>{_table('findings', 'What to mend', header, rows)}"


def _grant_row(one: dict[str, Any]) -> str:
    certainty = _word(one["certainty"])
    if one["why"]:
        certainty += f" <span class=soft>{_text(one['why'])}</span>"
    details = "".join(f"<li>{item}" for item in _details(one))
    may = _text(what_may(one))
    if details:
        may = f"<details><summary>{may}</summary><ul>{details}</ul></details>"
    cells = (
        _code(one["subject"]),
        _code(one["cluster"]),
        _text(", ".join(one["bound"])),
        _code(one["role"]),
        may,
        certainty,
    )
    return _row(cells)


def _details(one: dict[str, Any]) -> Iterator[str]:
    for statement in one["permissions"]:
        actions = " ".join(statement.get("actions", []))
        actions = actions or f"all but {' '.join(statement.get('not_actions', []))}"
        on = " ".join(statement.get("resources", []))
        on = on or f"all but {' '.join(statement.get('not_resources', []))}"
        when = f" when {' and '.join(statement['conditions'])}" if statement["conditions"] else ""
        yield f"{_text(statement['effect'])} {_code(actions)} on {_code(on)}{_text(when)}"
    for policy in one["managed_policies"]:
        yield f"managed policy {_code(policy['name'])}: {_text(policy['access'])}"
    if one["conditions"]:
        yield f"only when {_code(' and '.join(one['conditions']))}"
    if one["boundary"]:
        yield f"within the boundary {_code(one['boundary'])}"
    yield f"written in {_code(one['path'] + (':' + str(one['line']) if one['line'] else ''))}"


def _graph(grants: Sequence[dict[str, Any]]) -> str:
    """Draw who has which role: two columns, and lines between them."""
    if not grants or len(grants) > ROWS_IN_GRAPH:
        return ""
    accounts = list(dict.fromkeys((one["cluster"], one["subject"]) for one in grants))
    roles = list(dict.fromkeys(one["role"] for one in grants))
    height = max(len(accounts), len(roles)) * _ROW + _HEIGHT_OF_HEAD
    parts = []
    for at, (_, name) in enumerate(accounts):
        parts.append(f'<text x="10" y="{_y(at)}">{_text(name)}</text>')
    for at, name in enumerate(roles):
        parts.append(f'<text x="{_WIDTH // 2 + 60}" y="{_y(at)}">{_text(name)}</text>')
    for one in grants:
        y1 = _y(accounts.index((one["cluster"], one["subject"]))) - 4
        y2 = _y(roles.index(one["role"])) - 4
        dashes = "" if one["certainty"] == "certain" else ' stroke-dasharray="4 4"'
        middle = _WIDTH // 2 - 40
        parts.append(
            f'<path d="M{middle - 60} {y1} C{middle} {y1} {middle + 20} {y2} {middle + 90} {y2}"'
            f"{dashes}/>"
        )
    return (
        "<h2>Graph</h2><p class=soft>A dashed line is not certain.</p><div class=scroll>"
        f'<svg role="img" aria-label="Service accounts and their roles, as in the table"'
        f' width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">'
        f"{''.join(parts)}</svg></div>"
    )


def _y(at: int) -> int:
    return at * _ROW + _HEIGHT_OF_HEAD - 8


def _table(id: str, caption: str, header: Iterable[str], rows: Sequence[str]) -> str:
    heads = "".join(f'<th scope="col">{_text(one)}</th>' for one in header)
    return (
        f'<p hidden><label for="{id}-filter">Filter</label> <input type="search"'
        f' id="{id}-filter" autocomplete="off"> <span id="{id}-count" role="status" class=soft>'
        f"</span></p><div class=scroll><table data-sortable data-filter={id}-filter"
        f" data-count={id}-count><caption>{_text(caption)}</caption><thead><tr>{heads}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(cells: Sequence[str], *, keys: Sequence[str] = ()) -> str:
    found = []
    for at, cell in enumerate(cells):
        key = f' data-key="{keys[at]}"' if at < len(keys) else ""
        found.append(f"<td{key}>{cell}" if at else f'<th scope="row"{key}>{cell}')
    return f"<tr>{''.join(found)}\n"


def _page(title: str, report: dict[str, Any], parts: Iterable[str]) -> str:
    style, script = _own("page.css"), _own("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    unread = "".join(f"<li>{_text(fault)}" for fault in report["unread"])
    unread = f"<h2>Not read</h2><ul>{unread}</ul>" if unread else ""
    note = report["summary"].get("evaluated")
    note = f"<p class=soft>Evaluated: {_text(note)}.</p>" if note else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{style}</style></head><body><main>"
        f"<h1>{_text(title)}</h1><p class=sentence>{_text(report['summary']['sentence'])}</p>"
        f"{unread}{''.join(parts)}{note}</main><script>{script}</script></body></html>\n"
    )


def _own(name: str) -> str:
    return resources.files("irsa_stack.review.reports").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _word(text: str) -> str:
    return f'<span class="{_text(text)}">{_text(text)}</span>'


def _text(text: str) -> str:
    return html.escape(str(text))


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text else ""
