"""Trust policies of everything that IAM and CloudFormation have, and what deploys make of them.

The resolver knows no more of CloudFormation than what is generated here; it shares no code with
`irsa_stack`.
"""

import itertools
import json
import re
from collections.abc import Iterator

from hypothesis import strategies as st

ACCOUNT = "111122223333"
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
OTHER_ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/FEDCBA9876543210FEDCBA9876543210"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
OTHER_PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{OTHER_ISSUER}"
PREFIX = "system:serviceaccount:"
AUDIENCE = "sts.amazonaws.com"
# What a parameter may be told at deploy when the template gives it no value.
TOLD = ("apps", "*", f"{PREFIX}apps:api", f"{PREFIX}*:*", "a:*", AUDIENCE)

_SUBJECTS = st.one_of(
    st.sampled_from(
        [
            f"{PREFIX}apps:api",
            f"{PREFIX}apps:worker",
            f"{PREFIX}apps:*",
            f"{PREFIX}apps:b*",
            f"{PREFIX}*:api",
            f"{PREFIX}app?:api",
            f"{PREFIX}*",
            f"{PREFIX}*:*",
            f"{PREFIX}apps:api*",
            f"{PREFIX}apps*",
            "*",
            "?*",
            "system:*",
            "s*:api",
            "*:apps:api",
            "*apps:api",
            "*:apps:*",
            "s?stem:serviceaccount:apps:api",
            "SYSTEM:SERVICEACCOUNT:APPS:API",
            f"${{{ISSUER}:sub}}",
            f"${{{ISSUER.lower()}:SUB}}",
            f"{PREFIX}${{aws:PrincipalTag/ns}}:api",
            f"{PREFIX}${{sts:RoleSessionName}}:api",
            f"{PREFIX}${{aws:x, 'apps'}}:api",
            f"{PREFIX}${{aws:x, '*'}}:api",
            f"{PREFIX}apps:${{*}}",
            "",
            AUDIENCE,
            True,
        ]
    ),
    # A small alphabet, so that wildcards fall everywhere.
    st.text("*?:a", max_size=6),
    st.text("*?:a", max_size=3).map(lambda text: f"{PREFIX}{text}"),
    st.tuples(st.integers(0, 22), st.text("*?:ap", max_size=4)).map(
        lambda cut: PREFIX[: cut[0]] + cut[1]
    ),
    st.tuples(st.integers(0, 22), st.text("*?", min_size=1, max_size=2)).map(
        lambda cut: PREFIX[: cut[0]] + cut[1] + PREFIX[cut[0] + 1 :] + "apps:api"
    ),
)
_AUDIENCES = st.sampled_from(
    [AUDIENCE, AUDIENCE, AUDIENCE, "sts.*", "*", "vault", "?ts.amazonaws.com", "STS.amazonaws.com"]
)
_STRING_OPERATORS = [
    "StringEquals", "StringEquals", "StringLike", "StringLike", "StringNotEquals", "StringNotLike",
    "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "stringequals", "STRINGLIKE",
]  # fmt: skip
_OPERATORS = st.one_of(
    st.sampled_from(_STRING_OPERATORS),
    st.tuples(
        st.sampled_from(["", "ForAllValues:", "ForAnyValue:", "forallvalues:"]),
        st.sampled_from([*_STRING_OPERATORS, "ArnLike", "ArnNotLike", "Bool", "NumericEquals"]),
        st.sampled_from(["", "IfExists"]),
    ).map("".join),
)


def _intrinsic(values: st.SearchStrategy) -> st.SearchStrategy:
    """A text, or a way to say it in CloudFormation."""
    texts = values.filter(lambda value: isinstance(value, str))
    return st.one_of(
        values,
        values,
        values,
        st.tuples(st.sampled_from("CDE"), values, values).map(
            lambda one: {"Fn::If": [f"Is{one[0]}", one[1], one[2]]}
        ),
        st.tuples(texts, st.integers(0, 30)).map(
            lambda one: {"Fn::Join": ["", [one[0][: one[1]], one[0][one[1] :]]]}
        ),
        texts.map(lambda text: {"Fn::Sub": text.replace("${", "${!")}),
        texts.map(lambda text: {"Fn::Select": [1, ["no", text]]}),
        texts.filter(lambda text: "|" not in text).map(
            lambda text: {"Fn::Select": [0, {"Fn::Split": ["|", f"{text}|x"]}]}
        ),
        texts.map(lambda text: {"Default": text}),
        st.lists(texts, min_size=1, max_size=2).map(lambda texts: {"Allowed": texts}),
        st.tuples(texts, st.sampled_from(["no", "pattern"])).map(
            lambda one: {"Told": one[0], "As": one[1]}
        ),
        st.lists(texts, min_size=1, max_size=2).map(lambda texts: {"Mapped": texts}),
    )


_TESTS = st.one_of(
    st.tuples(
        _OPERATORS,
        st.sampled_from(
            [f"{ISSUER}:sub", f"{ISSUER}:sub", f"{ISSUER.upper()}:SUB", f"{OTHER_ISSUER}:sub"]
        ),
        st.one_of(_intrinsic(_SUBJECTS), st.lists(_intrinsic(_SUBJECTS), max_size=2)),
    ),
    st.tuples(
        st.just("StringEquals"),
        st.just(f"{ISSUER}:sub"),
        st.just(f"{PREFIX}apps:api"),
    ),
    st.tuples(st.just("StringEquals"), st.just(f"{ISSUER}:aud"), st.just(AUDIENCE)),
    st.tuples(
        _OPERATORS,
        st.sampled_from([f"{ISSUER}:aud", f"{ISSUER}:AUD", f"{OTHER_ISSUER}:aud"]),
        st.one_of(_intrinsic(_AUDIENCES), st.lists(_intrinsic(_AUDIENCES), max_size=2)),
    ),
    st.tuples(
        st.just("Null"),
        st.sampled_from([f"{ISSUER}:sub", f"{ISSUER}:aud", f"{ISSUER}:amr"]),
        st.sampled_from(["true", "false", False, True]),
    ),
    st.tuples(
        _OPERATORS,
        st.sampled_from(
            [
                f"{ISSUER}:amr",
                "foo:bar",
                "sub",
                "aws:SourceAccount",
                "aws:PrincipalTag/x",
                "sts:RoleSessionName",
                "AWS:username",
                "aws:PrincipalOrgID",
            ]
        ),
        st.sampled_from(["x", "*", ACCOUNT, "session"]),
    ),
    st.tuples(
        st.sampled_from(["IpAddress", "NotIpAddress", "IpAddressIfExists"]),
        st.just("AWS:SourceIp"),
        st.sampled_from(["10.0.0.0/8", "0.0.0.0/0"]),
    ),
)


_SUBJECT_TESTS = st.tuples(
    _OPERATORS,
    st.just(f"{ISSUER}:sub"),
    st.one_of(_intrinsic(_SUBJECTS), st.lists(_intrinsic(_SUBJECTS), min_size=1, max_size=2)),
)
_GOOD_AUDIENCE = ("StringEquals", f"{ISSUER}:aud", AUDIENCE)
_GOOD_SUBJECT = ("StringEquals", f"{ISSUER}:sub", f"{PREFIX}apps:api")


@st.composite
def _conditions(draw: st.DrawFn) -> dict:
    found: dict = {}
    tests = draw(
        st.one_of(
            st.lists(_TESTS, max_size=4),
            # Nearly good ones: most that are drawn freely are open in three ways at once.
            st.tuples(st.just(_GOOD_AUDIENCE), _SUBJECT_TESTS),
            st.tuples(st.just(_GOOD_AUDIENCE), _SUBJECT_TESTS, _SUBJECT_TESTS),
            st.tuples(st.just(_GOOD_AUDIENCE), st.just(_GOOD_SUBJECT), _TESTS),
            st.tuples(st.just(_GOOD_SUBJECT), _TESTS),
            st.just((_GOOD_AUDIENCE, _GOOD_SUBJECT)),
        )
    )
    for operator, key, values in tests:
        found.setdefault(operator, {})[key] = values
    return found


_PRINCIPALS = st.one_of(
    st.just({"Federated": PROVIDER}),
    st.sampled_from(
        [
            {"Federated": PROVIDER},
            {"Federated": OTHER_PROVIDER},
            {"Federated": [PROVIDER, OTHER_PROVIDER]},
            {"AWS": "*", "Federated": PROVIDER},
            {"AWS": "*"},
            "*",
            {"Federated": "*"},
            {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            {"AWS": "999988887777"},
            {"Service": "ec2.amazonaws.com"},
            {"Service": "pods.eks.amazonaws.com"},
        ]
    ),
)
_ACTIONS = st.sampled_from(
    [
        "sts:AssumeRoleWithWebIdentity",
        "sts:AssumeRoleWithWebIdentity",
        "sts:assumerolewithwebidentity",
        ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        "sts:AssumeRole",
        ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"],
        "sts:AssumeRole*",
        "sts:*",
        "*",
        "sts:AssumeRoleWithWeb?dentity",
        "sts:TagSession",
    ]
)


@st.composite
def _statements(draw: st.DrawFn, *, first: bool) -> dict:
    if first:
        statement = {"Effect": "Allow", "Principal": {"Federated": PROVIDER}}
    else:
        statement = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
        who = draw(st.sampled_from(["Principal"] * 6 + ["NotPrincipal"]))
        statement[who] = draw(_PRINCIPALS)
    what = draw(st.sampled_from(["Action"] * 8 + ["NotAction"]))
    usual = st.just("sts:AssumeRoleWithWebIdentity")
    statement[what] = draw(st.one_of(usual, _ACTIONS) if what == "Action" else _ACTIONS)
    condition = draw(_conditions())
    if condition or draw(st.booleans()):
        statement["Condition"] = condition
    if draw(st.integers(0, 9)) == 0:
        statement["Condition"] = {"Fn::If": ["IsC", condition, draw(_conditions())]}
    if not first and draw(st.integers(0, 9)) == 0:
        return {"Fn::If": ["IsD", statement, {"Ref": "AWS::NoValue"}]}
    return statement


@st.composite
def templates(draw: st.DrawFn) -> dict:
    """A template with one role, whose first statement is for the provider's tokens."""
    statements = [draw(_statements(first=True))]
    if draw(st.booleans()):
        statements += draw(st.lists(_statements(first=False), max_size=2))
    document: dict = {
        "Version": draw(st.sampled_from(["2012-10-17"] * 5 + ["2008-10-17"])),
        "Statement": statements[0] if len(statements) == 1 and draw(st.booleans()) else statements,
    }
    template: dict = {
        "Parameters": {},
        "Mappings": {"Map": {}},
        "Conditions": {
            "IsC": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]},
            "IsD": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-2"]},
            "IsE": {"Fn::Not": [{"Condition": "IsC"}]},
        },
    }
    document = _declared(document, template)
    form = draw(st.sampled_from(["object"] * 4 + ["json"]))
    if form == "json":
        document = {"Fn::ToJsonString": document}
    template["Resources"] = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}}
    }
    return template


def _declared(value, template):  # noqa: PLR0911 (one each)
    """Turn what stands for parameters and mappings into references, and declare them."""
    parameters = template["Parameters"]
    mapping = template["Mappings"]["Map"]
    if isinstance(value, list):
        return [_declared(item, template) for item in value]
    if not isinstance(value, dict):
        return value
    name = f"P{len(parameters)}"
    if set(value) == {"Default"}:
        parameters[name] = {"Type": "String", "Default": value["Default"]}
        return {"Ref": name}
    if set(value) == {"Allowed"}:
        parameters[name] = {"Type": "String", "AllowedValues": value["Allowed"]}
        return {"Ref": name}
    if set(value) == {"Told", "As"}:
        parameters[name] = {"Type": "String"}
        if value["As"] == "pattern":
            parameters[name]["AllowedPattern"] = "[a-z0-9-]+"
        text = value["Told"]
        at = len(text) // 2 if "$" not in text else len(text)
        before, behind = (part.replace("${", "${!") for part in (text[:at], text[at:]))
        return {"Fn::Sub": f"{before}${{{name}}}{behind}"}
    if set(value) == {"Mapped"}:
        key = f"M{len(mapping)}"
        mapping[key] = {f"K{at}": text for at, text in enumerate(value["Mapped"])}
        parameters[name] = {"Type": "String", "AllowedValues": sorted(mapping[key])}
        return {"Fn::FindInMap": ["Map", key, {"Ref": name}]}
    return {key: _declared(item, template) for key, item in value.items()}


def deployments(template: dict, at_most: int = 64) -> Iterator[dict]:
    """The trust policies that the template can become."""
    names = sorted(template["Parameters"])
    choices = [_values(template["Parameters"][name]) for name in names]
    ways = itertools.product([False, True], [False, True], *choices)
    role = template["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]
    for c, d, *told in itertools.islice(ways, at_most):
        holds = {"IsC": c, "IsD": d, "IsE": not c}
        value = _resolved(role, dict(zip(names, told, strict=True)), holds, template["Mappings"])
        yield json.loads(value) if isinstance(value, str) else value


def _values(parameter):
    if "AllowedValues" in parameter:
        return parameter["AllowedValues"]
    if "Default" in parameter:
        return [parameter["Default"]]
    allowed = re.compile(parameter.get("AllowedPattern", ".*"))
    return [text for text in TOLD if allowed.fullmatch(text)]


_GONE = object()


def _resolved(value, told, holds, mappings):  # noqa: C901, PLR0911 (one each)
    def again(item):
        return _resolved(item, told, holds, mappings)

    if isinstance(value, list):
        return [one for item in value if (one := again(item)) is not _GONE]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": "AWS::NoValue"}:
            return _GONE
        case {"Ref": name}:
            return told[name]
        case {"Fn::If": [name, yes, no]}:
            return again(yes if holds[name] else no)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(again(parts))
        case {"Fn::Select": [position, items]}:
            return again(items)[position]
        case {"Fn::Split": [separator, text]}:
            return again(text).split(separator)
        case {"Fn::FindInMap": [name, first, second]}:
            return mappings[name][first][again(second)]
        case {"Fn::ToJsonString": inner}:
            return json.dumps(again(inner))
        case {"Fn::Sub": text}:
            return re.sub(
                r"\$\{(!?)([^}]*)\}",
                lambda one: f"${{{one[2]}}}" if one[1] else told[one[2]],
                text,
            )
    return {key: one for key, item in value.items() if (one := again(item)) is not _GONE}
