"""Whoever does what a finding says is rid of it, and gets no new one."""

import copy
import json
import re
from pathlib import Path

import pytest

from irsa_stack.iam.trust import trust_policy
from irsa_stack.review.template import template_findings
from tests.support.generated_policies import ACCOUNT, ISSUER, PROVIDER
from tests.support.trust_policies import CASES as OURS

THEIRS = json.loads((Path(__file__).parent / "cases" / "trust-policies.json").read_text())
# What these ask for is not in their words: another document, or a value that only its author knows.
NOT_IN_WORDS = ("IRSA119", "IRSA124", "IRSA901")
GOOD = trust_policy(provider_arn=PROVIDER, issuer=ISSUER, service_accounts=["apps/api"])
FILLED_IN = {
    "NAMESPACE": "apps", "NAME": "api", "ORG": "octo", "REPOSITORY": "x", "GROUP": "g",
    "PROJECT": "p", "TRUST-DOMAIN": "td", "WORKLOAD": "w",
}  # fmt: skip


def quoted(text):
    """What stands in quotes, with the words in capitals filled in."""
    found = re.findall(r"'([^']*)'", text)
    words = "|".join(FILLED_IN)
    return [re.sub(rf"\b({words})\b", lambda one: FILLED_IN[one[1]], value) for value in found]


def listed(value):
    return value if isinstance(value, list) else [value]


def set_test(statement, key, value):
    """`StringEquals` KEY with VALUE, in place of all other tests of the key."""
    drop(statement, key)
    statement.setdefault("Condition", {})
    if statement["Condition"] is None:
        statement["Condition"] = {}
    statement["Condition"].setdefault("StringEquals", {})[key] = value


def drop(statement, key):
    for operator, tests in list((statement.get("Condition") or {}).items()):
        for name in [name for name in tests if name.lower() == key.lower()]:
            del tests[name]
        if not tests:
            del statement["Condition"][operator]


def follow(document, finding):  # noqa: C901, PLR0912, PLR0915 (one each)
    """Do what the finding's fix says, with what its message names."""
    statements = listed(document.get("Statement", document.get("statement")))
    document = {**document, "Statement": statements}
    document.pop("statement", None)
    if not statements:
        statements = [{}]
    at = int(finding.where.rpartition("/")[2]) if "/Statement/" in finding.where else 0
    statement = statements[at]
    named, advised = quoted(finding.message), quoted(finding.fix)
    match finding.id:
        case "IRSA100" if "Principal must have" in finding.message:
            statement["Principal"][advised[0]] = statement["Principal"].pop(named[1])
        case "IRSA100" if "Statement must be" in finding.message:
            document["Statement"] = GOOD["Statement"]
        case "IRSA100" if "Effect" in finding.message:
            statement["Effect"] = advised[0]
        case "IRSA100" if "operator" in finding.message:
            tests = statement["Condition"].pop(named[0])
            statement["Condition"]["StringEquals"] = tests
        case "IRSA100" if "remove it" in finding.fix:
            del statement[named[0]]
        case "IRSA100" if "letter case counts" in finding.fix:
            pass  # 'statement' was renamed above
        case "IRSA101" | "IRSA102":
            set_test(statement, advised[0], advised[1])
        case "IRSA103" | "IRSA104" | "IRSA107" | "IRSA108" | "IRSA114" | "IRSA125":
            key = next(name for name in named if ":" in name and not name.startswith("system:"))
            set_test(statement, key, advised[0] if advised else "system:serviceaccount:apps:api")
        case "IRSA106":
            for one in statements:
                for operator in [name for name in one["Condition"] if "Equals" in name]:
                    if named[0] in (tests := one["Condition"][operator]):
                        like = operator.replace("Equals", "Like")
                        one["Condition"].setdefault(like, {})[named[0]] = tests.pop(named[0])
        case "IRSA109":
            statement["Action"] = quoted(finding.message)[0]
        case "IRSA110":
            wrong, right = named[-1], advised[0]
            for tests in statement["Condition"].values():
                for name in [name for name in tests if name == wrong]:
                    tests[right] = tests.pop(name)
        case "IRSA111":
            for provider in listed(statement["Principal"]["Federated"]):
                own = json.loads(
                    re.sub(
                        rf"{re.escape(ISSUER.rpartition('/')[0])}/\w+",
                        provider.partition("oidc-provider/")[2],
                        json.dumps(statement),
                    )
                )
                statements.append(own | {"Principal": {"Federated": provider}})
            statements.remove(statement)
        case "IRSA112":
            statement |= GOOD["Statement"][0]
        case "IRSA127":
            statement["Principal"] = {"Federated": PROVIDER}
            statement["Action"] = "sts:AssumeRoleWithWebIdentity"
        case "IRSA113" if len(statements) > 1:
            statements.remove(statement)
        case "IRSA113":
            statement["Principal"] = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/named"}
        case "IRSA115" if "NotPrincipal" in statement:
            statements[at] = GOOD["Statement"][0]
        case "IRSA115":
            del statement["NotAction"]
            statement["Action"] = "sts:AssumeRoleWithWebIdentity"
        case "IRSA116":
            kind = re.search(r"got (\w+) ", finding.message)[1]
            del statement["Principal"][kind]
            if not statement["Principal"]:
                statements.remove(statement)
        case "IRSA117" if "/id/ID" in finding.fix:
            [without_id] = re.findall("oidc-provider/(.*)/id", advised[0])
            statements[at] = json.loads(json.dumps(statement).replace(without_id, ISSUER))
        case "IRSA117":
            statement["Principal"]["Federated"] = PROVIDER
        case "IRSA121" | "IRSA122":
            drop(statement, next(name for name in named if ":" in name))
        case "IRSA601":
            statement["Condition"] = {
                "ArnEquals": {"aws:SourceArn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/c"}
            }
        case "IRSA602":
            statement["Action"] = [
                *listed(statement["Action"]),
                advised[0] if advised else named[1],
            ]
        case _:
            pytest.fail(f"no way to follow {finding}")
    return document


def judged(document):
    template = {
        "Resources": {
            "R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}}
        }
    }
    return [one for one in template_findings(template, account=ACCOUNT) if not one.is_remark]


def literal_documents():
    for name, template in [
        *OURS,
        *((f"{case['id']} {case['case']}", case["template"]) for case in THEIRS),
    ]:
        if set(template) != {"Resources"} or len(template["Resources"]) != 1:
            continue
        [resource] = template["Resources"].values()
        document = (resource.get("Properties") or {}).get("AssumeRolePolicyDocument")
        if (
            not isinstance(document, dict)
            or "Fn::" in json.dumps(document)
            or '"Ref"' in json.dumps(document)
        ):
            continue
        for finding in judged(document):
            if finding.id not in NOT_IN_WORDS:
                yield pytest.param(document, finding, id=f"{name} {finding.id}")


@pytest.mark.parametrize(("document", "finding"), [*literal_documents()])
def test_advice_followed_leaves_neither_the_finding_nor_a_new_one(document, finding):
    before = [one.id for one in judged(document)]
    document = follow(copy.deepcopy(document), finding)
    after = judged(document)
    assert finding.message not in [one.message for one in after]
    ids = [one.id for one in after]
    assert all(ids.count(name) <= before.count(name) for name in ids), after
    assert ids != before
