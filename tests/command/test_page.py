"""The page: whole in itself, escaped, small, and readable without its script."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from irsa_stack.review.reports.html import access_page
from irsa_stack.review.reports.markdown import access_markdown
from irsa_stack.review.reports.mermaid import mermaid

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'|`"


def grant(number=0, **changed):
    return {
        "cluster": "prod",
        "namespace": "apps",
        "service_account": f"api-{number}",
        "subject": f"apps/api-{number}",
        "bound": ["annotation"],
        "role": f"Role{number}",
        "certainty": "certain",
        "why": "",
        "conditions": [],
        "boundary": "arn:aws:iam::111122223333:policy/workload-boundary",
        "managed_policies": [{"name": "AmazonS3ReadOnlyAccess", "access": "read: all of S3"}],
        "permissions": [
            {
                "policy": "p",
                "effect": "Allow",
                "actions": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
                "resources": [f"arn:aws:s3:::bucket-{number}/*", f"arn:aws:s3:::bucket-{number}"],
                "conditions": [f"StringEquals aws:ResourceTag/team team-{number}"],
            }
        ]
        * 3,
        "path": "cdk.out/stack.template.json",
        "line": number + 1,
        **changed,
    }


def report(*grants):
    return {
        "schema": "irsa-stack/1",
        "summary": {"sentence": "1 service account.", "evaluated": "trust policies"},
        "grants": list(grants),
        "unread": [],
    }


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.script = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script":
            self.script += data
        self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("key", ["subject", "cluster", "role", "why", "boundary", "path"])
def test_names_of_others_are_text_and_nothing_else(key):
    page = Page(access_page(report(grant(**{key: EVIL}))))
    assert len(page.of("script")) == 1
    assert not page.of("img")
    assert any("alert(1)" in text for text in page.texts)


def test_the_page_asks_for_nothing():
    text = access_page(report(grant()))
    page = Page(text)
    assert not [one for _, one in page.elements if {"src", "href"} & set(one)]
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", text)


def test_only_our_script_and_style_may_run():
    text = access_page(report(grant()))
    policy = next(one["content"] for one in Page(text).of("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_no_element_has_a_style_or_a_handler_of_its_own():
    for _, attributes in Page(access_page(report(grant(), grant(1)))).elements:
        assert not any(name == "style" or name.startswith("on") for name in attributes)


def test_the_table_is_one_without_the_script():
    page = Page(access_page(report(grant(), grant(1))))
    assert [one.get("scope") for one in page.of("th")].count("row") == 2
    assert len(page.of("details")) == 2
    assert {"apps/api-0", "apps/api-1"} <= set(page.texts)


def test_sentence_findings_table_and_graph_stand_in_this_order():
    finding = {
        "id": "IRSA103", "severity": "critical", "resource": "R", "where": "", "path": "t.json",
        "line": 3, "message": "m", "fix": "f",
    }  # fmt: skip
    text = access_page(report(grant()), [finding])
    places = [text.index(one) for one in ("1 service account.", "IRSA103", ">Who may do", "<svg")]
    assert places == sorted(places)


def test_a_thousand_accounts_fit_two_megabytes():
    text = access_page(report(*map(grant, range(1000))))
    assert len(text.encode()) < 2_000_000
    assert "<svg" not in text


def test_a_comment_on_a_pull_request_is_not_too_long():
    assert len(access_markdown(report(*map(grant, range(1000))))) < 65_536


def test_a_cell_of_markdown_holds_no_column_of_others():
    text = access_markdown(report(grant(subject=EVIL)))
    row = next(line for line in text.splitlines() if "alert" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 7
    assert "<script" not in row


def test_mermaid_draws_no_chart_too_large():
    text = mermaid(report(*(grant(one, namespace=f"n{one % 5}") for one in range(1000))))
    charts = text.split("flowchart LR")[1:]
    assert max(one.count("-->") for one in charts) <= 150
    assert max(map(len, charts)) < 50_000
    assert json.dumps(mermaid(report(grant(subject='a"b')))).count("#quot;") == 1
