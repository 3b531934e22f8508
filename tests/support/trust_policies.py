"""Roles in templates, each named by what it should be: ok, open, dead or blind (not to be told)."""

import json

from tests.support.generated_policies import (
    ACCOUNT,
    AUDIENCE,
    ISSUER,
    OTHER_PROVIDER,
    PREFIX,
    PROVIDER,
)

GOOD = {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": f"{PREFIX}apps:api"}}


def statement(**k):
    return {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": GOOD,
    } | k


def role(trust, **t):
    return {
        "Resources": {
            "R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
        },
        **t,
    }


def document(*s, v="2012-10-17"):
    return {"Version": v, "Statement": list(s)}


def sub(v, op="StringEquals"):
    c = {"StringEquals": {f"{ISSUER}:aud": AUDIENCE}}
    c.setdefault(op, {})[f"{ISSUER}:sub"] = v
    return document(statement(Condition=c))


UNTOLD = {"Parameters": {"X": {"Type": "String"}}}


def provider(issuer):
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"


def other(iss, aud=None, op="StringEquals", **claims):
    c = {}
    if aud:
        c.setdefault("StringEquals", {})[iss + ":aud"] = aud
    for k, v in claims.items():
        c.setdefault(op, {})[f"{iss}:{k}"] = v
    return role(document(statement(Principal={"Federated": provider(iss)}, Condition=c)))


def cognito(claims):
    issuer = "cognito-identity.amazonaws.com"
    tests = {f"{issuer}:{claim}": value for claim, value in claims.items()}
    condition = {"ForAnyValue:StringLike": tests} if tests else {}
    return role(document(statement(Principal={"Federated": issuer}, Condition=condition)))


STACK_SET = f"""
Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Principal: {{Federated: !Sub "{PROVIDER}"}}
            Action: sts:AssumeRoleWithWebIdentity
"""
GITHUB = "token.actions.githubusercontent.com"

CASES = [
    ("ok eff", role(document(statement()))),
    ("dead effect lower", role(document(statement(Effect="allow")))),
    ("blind sub param", role(sub({"Ref": "X"}), **UNTOLD)),
    (
        "blind aud param",
        role(
            document(
                statement(
                    Condition={
                        "StringEquals": {
                            f"{ISSUER}:aud": {"Ref": "X"},
                            f"{ISSUER}:sub": f"{PREFIX}apps:api",
                        }
                    }
                )
            ),
            **UNTOLD,
        ),
    ),
    ("blind doc param", role({"Ref": "X"}, **UNTOLD)),
    ("blind cond getatt", role(document(statement(Condition={"Fn::GetAtt": ["C", "D"]})))),
    ("ok sub Sub ns exact", role(sub({"Fn::Sub": PREFIX + "${X}:api"}), **UNTOLD)),
    ("blind sub Sub ns like", role(sub({"Fn::Sub": PREFIX + "${X}:api"}, "StringLike"), **UNTOLD)),
    ("ok sub Sub name like", role(sub({"Fn::Sub": PREFIX + "apps:${X}"}, "StringLike"), **UNTOLD)),
    ("dead Sub wild equals", role(sub({"Fn::Sub": PREFIX + "${X}:*"}), **UNTOLD)),
    (
        "open deny part",
        role(
            document(
                statement(Condition={"StringEquals": {f"{ISSUER}:aud": AUDIENCE}}),
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sts:*",
                    "Condition": {
                        "StringNotEquals": {
                            f"{ISSUER}:aud": AUDIENCE,
                            f"{ISSUER}:sub": PREFIX + "a:b",
                        }
                    },
                },
            )
        ),
    ),
    (
        "ok deny rescues",
        role(
            document(
                statement(Condition={"StringEquals": {f"{ISSUER}:aud": AUDIENCE}}),
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sts:*",
                    "Condition": {"StringNotEquals": {f"{ISSUER}:sub": PREFIX + "a:b"}},
                },
            )
        ),
    ),
    ("dead AWS=provider arn", role(document(statement(Principal={"AWS": PROVIDER})))),
    (
        "dead https",
        role(
            document(
                statement(
                    Principal={
                        "Federated": {
                            "Fn::Sub": PROVIDER.replace(ISSUER, "${C.OpenIdConnectIssuerUrl}")
                        }
                    }
                )
            )
        ),
    ),
    (
        "dead url",
        role(
            document(
                statement(Principal={"Federated": {"Fn::GetAtt": ["C", "OpenIdConnectIssuerUrl"]}})
            )
        ),
    ),
    (
        "ok saml",
        role(
            document(
                statement(
                    Principal={"Federated": "arn:aws:iam::111122223333:saml-provider/x"},
                    Action="sts:AssumeRoleWithSAML",
                    Condition={"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
                )
            )
        ),
    ),
    (
        "ok placeholders",
        role(
            json.loads(
                json.dumps(document(statement()))
                .replace(ISSUER, "<OIDC_PROVIDER>")
                .replace("111122223333", "<ACCOUNT_ID>")
                .replace("apps:api", "<ns>:<sa>")
            )
        ),
    ),
    (
        "ok placeholders2",
        role(
            json.loads(
                json.dumps(document(statement()))
                .replace(ISSUER, "{{ oidc }}")
                .replace("111122223333", "ACCOUNT_ID")
                .replace("apps:api", "{{ns}}:{{sa}}")
            )
        ),
    ),
    (
        "ok placeholders3",
        role(
            json.loads(
                json.dumps(document(statement()))
                .replace(ISSUER, "${OIDC}")
                .replace("111122223333", "${ACC}")
                .replace("apps:api", "${NS}:${SA}")
            )
        ),
    ),
    ("ok GITHUB repo", other(GITHUB, AUDIENCE, "StringLike", sub="repo:octo/x:*")),
    ("ok GITHUB noaud", other(GITHUB, None, "StringLike", sub="repo:octo/x:*")),
    ("open GITHUB nosub", other(GITHUB, AUDIENCE)),
    ("open GITHUB org wild", other(GITHUB, AUDIENCE, "StringLike", sub="repo:*/x:*")),
    ("ok GITHUB org", other(GITHUB, AUDIENCE, "StringLike", sub="repo:octo/*")),
    ("dead GITHUB equals*", other(GITHUB, AUDIENCE, sub="repo:octo/x:*")),
    ("open GITHUB repo:*", other(GITHUB, AUDIENCE, "StringLike", sub="repo:*")),
    ("ok GITHUB repository", other(GITHUB, AUDIENCE, repository="octo/x")),
    (
        "ok GL",
        other(
            "gitlab.com",
            "https://gitlab.com",
            "StringLike",
            sub="project_path:g/*:ref_type:branch:ref:main",
        ),
    ),
    ("ok Auth0/", other("acme.eu.auth0.com/", "app", sub="x@clients")),
    ("ok Auth0 aud", other("acme.eu.auth0.com/", "app")),
    (
        "ok TFC",
        other(
            "app.terraform.io",
            "aws.workload.identity",
            "StringLike",
            sub="organization:o:project:p:workspace:*:run_phase:*",
        ),
    ),
    (
        "open TFC",
        other(
            "app.terraform.io",
            "aws.workload.identity",
            "StringLike",
            sub="organization:*:workspace:w:*",
        ),
    ),
    ("ok spiffe", other("oidc.example.com", AUDIENCE, sub="spiffe://td/ns/x/sa/y")),
    ("ok spiffe like", other("oidc.example.com", AUDIENCE, "StringLike", sub="spiffe://td/*")),
    ("open spiffe", other("oidc.example.com", AUDIENCE, "StringLike", sub="spiffe://*")),
    ("ok unknown sub", other("idp.example.com", "app", sub="user-1")),
    ("ok unknown aud", other("idp.example.com", "app")),
    ("open unknown sts", other("idp.example.com", AUDIENCE)),
    ("open unknown none", other("idp.example.com")),
    (
        "open pods",
        role(
            document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "pods.eks.amazonaws.com"},
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                }
            )
        ),
    ),
    (
        "ok pods",
        role(
            document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "pods.eks.amazonaws.com"},
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                    "Condition": {
                        "ArnEquals": {
                            "aws:SourceArn": "arn:aws:eks:eu-west-1:111122223333:cluster/c"
                        }
                    },
                }
            )
        ),
    ),
    (
        "dead pods",
        role(
            document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "pods.eks.amazonaws.com"},
                    "Action": ["sts:AssumeRole"],
                    "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}},
                }
            )
        ),
    ),
    (
        "ok lambda",
        role(
            document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            )
        ),
    ),
    (
        "ok crossaccount",
        role(
            document(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::999988887777:root"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"sts:ExternalId": "x"}},
                }
            )
        ),
    ),
    (
        "open aws*",
        role(document({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})),
    ),
    (
        "ok aws* org",
        role(
            document(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
                }
            )
        ),
    ),
    (
        "open fed* star action",
        role(
            document(
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": "*"},
                    "Action": "sts:AssumeRoleWith*",
                }
            )
        ),
    ),
    (
        "dead mfa",
        role(
            document(statement(Condition=GOOD | {"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
        ),
    ),
    (
        "dead idp",
        role(document(statement(Condition=GOOD | {"Bool": {"sts:RoleAuthorizedByIdp": "true"}}))),
    ),
    (
        "dead ptag",
        role(document(statement(Condition=GOOD | {"StringLike": {"aws:PrincipalTag/x": "*"}}))),
    ),
    ("dead base64 doc", role({"Fn::Base64": "x"})),
    ("dead base64 sub", role(sub({"Fn::Base64": PREFIX + "apps:api"}))),
    ("blind macro", role(document(statement()), Transform="MyMacro")),
    (
        "open sam",
        {
            "Transform": "AWS::Serverless-2016-10-31",
            "Resources": {
                "F": {
                    "Type": "AWS::Serverless::Function",
                    "Properties": {"AssumeRolePolicyDocument": document(statement(Condition={}))},
                }
            },
        },
    ),
    (
        "blind nested out",
        role(
            sub({"Fn::GetAtt": ["N", "Outputs.S"]}),
        ),
    ),
    ("blind resolve", role(sub("{{resolve:ssm:/x}}"))),
    (
        "open 2 If deep",
        role(
            document(
                statement(
                    Condition={
                        "StringEquals": {f"{ISSUER}:aud": AUDIENCE},
                        "StringLike": {
                            f"{ISSUER}:sub": [
                                {
                                    "Fn::If": [
                                        "A",
                                        {"Fn::If": ["B", PREFIX + "apps:api", "*"]},
                                        {"Ref": "AWS::NoValue"},
                                    ]
                                }
                            ]
                        },
                    }
                )
            )
        ),
    ),
    (
        "blind many ifs",
        role(
            document(
                statement(
                    Condition={
                        "StringEquals": {
                            f"{ISSUER}:aud": AUDIENCE,
                            f"{ISSUER}:sub": [
                                {"Fn::If": [f"C{i}", f"{PREFIX}a:b{i}", f"{PREFIX}a:c{i}"]}
                                for i in range(12)
                            ],
                        }
                    }
                )
            )
        ),
    ),
    ("dead empty subs", role(sub([]))),
    (
        "ok allowed",
        role(
            sub({"Fn::Sub": PREFIX + "${X}:api"}, "StringLike"),
            Parameters={"X": {"Type": "String", "AllowedValues": ["a", "b"]}},
        ),
    ),
    (
        "open allowed",
        role(
            sub({"Fn::Sub": PREFIX + "${X}:api"}, "StringLike"),
            Parameters={"X": {"Type": "String", "AllowedValues": ["a", "*"]}},
        ),
    ),
    ("dead slash sub", role(sub(PREFIX + "shop/api"))),
    (
        "dead deny all values",
        role(
            document(
                statement(),
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sts:*",
                    "Condition": {"StringNotEquals": {f"{ISSUER}:sub": PREFIX + "apps:*"}},
                },
            )
        ),
    ),
    (
        "open variable joined",
        role(
            {
                "Fn::Join": [
                    "",
                    [
                        json.dumps(sub("@@")).split("@@")[0],
                        "${",
                        ISSUER,
                        ":sub}",
                        json.dumps(sub("@@")).split("@@")[1],
                    ],
                ]
            }
        ),
    ),
    ("open two statements", role(document(statement(), statement(Condition={})))),
    (
        "open statement as object",
        role({"Version": "2012-10-17", "Statement": statement(Condition={})}),
    ),
    (
        "open default parameter list",
        role(
            sub({"Ref": "X"}, "StringLike"),
            Parameters={"X": {"Type": "CommaDelimitedList", "Default": PREFIX + "a:b,*"}},
        ),
    ),
    (
        "open two providers",
        role(document(statement(Principal={"Federated": [PROVIDER, OTHER_PROVIDER]}))),
    ),
    (
        "open not everybody denied",
        role(
            document(
                statement(),
                {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
                {"Effect": "Deny", "Principal": {"AWS": "111122223333"}, "Action": "sts:*"},
            )
        ),
    ),
    (
        "ok others denied",
        role(
            document(
                statement(),
                {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
                {"Effect": "Deny", "NotPrincipal": {"Federated": PROVIDER}, "Action": "sts:*"},
            )
        ),
    ),
    (
        "ok tag session apart",
        role(
            document(
                statement(),
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": PROVIDER},
                    "Action": "sts:TagSession",
                },
            )
        ),
    ),
    (
        "dead client id",
        role(
            document(statement()),
        )
        | {
            "Resources": role(document(statement()))["Resources"]
            | {
                "UNTOLD": {
                    "Type": "AWS::IAM::OIDCProvider",
                    "Properties": {"Url": "https://" + ISSUER, "ClientIdList": ["vault"]},
                }
            }
        },
    ),
    (
        "ok client id",
        {
            "Resources": role(
                document(
                    statement(
                        Condition={
                            "StringEquals": {
                                f"{ISSUER}:aud": "vault",
                                f"{ISSUER}:sub": PREFIX + "a:b",
                            }
                        }
                    )
                )
            )["Resources"]
            | {
                "UNTOLD": {
                    "Type": "AWS::IAM::OIDCProvider",
                    "Properties": {"Url": "https://" + ISSUER, "ClientIdList": ["vault"]},
                }
            }
        },
    ),
    ("dead eks service", role(document(statement(Principal={"Service": "eks.amazonaws.com"})))),
    (
        "dead issuer without id",
        role(
            json.loads(
                json.dumps(document(statement())).replace(
                    ISSUER, "oidc.eks.eu-west-1.amazonaws.com"
                )
            )
        ),
    ),
    ("dead prohibited element", role(document(statement(Resource="*")))),
    (
        "dead unknown operator",
        role(document(statement(Condition={"StringEqual": GOOD["StringEquals"]}))),
    ),
    ("dead no statement", role({"Version": "2012-10-17", "Statement": []})),
    ("dead group", role(sub("system:serviceaccounts:apps"))),
    ("dead class of letters", role(sub(PREFIX + "apps:[a-z]*", "StringLike"))),
    ("dead document is a list", role([document(statement())])),
    ("dead key twice", role(json.dumps(document(statement()))[:-1] + ', "Version": "2012-10-17"}')),
    ("blind effect", role(document(statement(Effect={"Ref": "X"})), **UNTOLD)),
    ("blind principal", role(document(statement(Principal={"Ref": "X"})), **UNTOLD)),
    (
        "blind operator",
        role(document(statement(Condition={"StringEquals": {"Ref": "X"}})), **UNTOLD),
    ),
    (
        "blind properties",
        {
            "Resources": {
                "R": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {"Fn::Transform": {"Name": "x"}, "Path": "/"},
                }
            }
        },
    ),
    (
        "blind resources",
        {
            "Resources": {
                "Fn::Transform": {"Name": "AWS::Include"},
                "R": role(document(statement()))["Resources"]["R"],
            }
        },
    ),
    (
        "blind stack set by URL",
        {
            "Resources": {
                "S": {
                    "Type": "AWS::CloudFormation::StackSet",
                    "Properties": {"TemplateURL": "https://x"},
                }
            }
        },
    ),
    (
        "open update of a trust policy",
        {
            "Resources": {
                "S": {
                    "Type": "Custom::AWS",
                    "Properties": {
                        "Update": json.dumps(
                            {
                                "service": "IAM",
                                "action": "updateAssumeRolePolicy",
                                "parameters": {
                                    "RoleName": "x",
                                    "PolicyDocument": json.dumps(document(statement(Condition={}))),
                                },
                            }
                        )
                    },
                }
            }
        },
    ),
    (
        "open loop in a role",
        role(
            {
                "Version": "2012-10-17",
                "Fn::ForEach::S": ["N", ["x"], {"Statement": [statement(Condition={})]}],
            }
        ),
    ),
    (
        "open wildcard by parameter",
        role(sub({"Fn::Sub": PREFIX + "*:${X}"}, "StringLike"), **UNTOLD),
    ),
    (
        "ok label by parameter",
        role(
            sub({"Fn::Sub": PREFIX + "${X}:api"}, "StringLike"),
            Parameters={"X": {"Type": "String", "AllowedPattern": "[a-z0-9-]+"}},
        ),
    ),
    ("dead subject of GitHub under the cluster", role(sub("repo:o/x:ref:main"))),
    (
        "blind GitHub organisation by parameter",
        role(
            document(
                statement(
                    Principal={"Federated": provider(GITHUB)},
                    Condition={
                        "StringEquals": {f"{GITHUB}:aud": AUDIENCE},
                        "StringLike": {f"{GITHUB}:sub": {"Fn::Sub": "repo:${X}/x:*"}},
                    },
                )
            ),
            **UNTOLD,
        ),
    ),
    ("ok audience of a cluster of one's own", other("oidc.example.com", "any", sub=f"{PREFIX}a:b")),
    (
        "open any sub of an unknown issuer",
        other("idp.example.com", AUDIENCE, "StringLike", sub="*"),
    ),
    ("ok e-mail of an unknown issuer", other("idp.example.com", AUDIENCE, email="x@example.com")),
    ("open Cognito, authenticated by any pool", cognito({"amr": "authenticated"})),
    (
        "ok Cognito, authenticated by one pool",
        cognito({"aud": "eu-west-1:1", "amr": "authenticated"}),
    ),
    ("open Cognito, nothing tested", cognito({})),
    ("open GitLab, audience only", other("gitlab.com", "https://gitlab.com")),
    (
        "open GitLab, groups alike",
        other("gitlab.com", "x", "StringLike", sub="project_path:g*/p:*"),
    ),
    (
        "ok provider by import",
        role(
            {
                "Fn::Sub": [
                    json.dumps(document(statement()))
                    .replace(PROVIDER, "${Provider}")
                    .replace(ISSUER, "${Issuer}"),
                    {
                        "Provider": {"Fn::ImportValue": "x"},
                        "Issuer": {
                            "Fn::Select": [
                                1,
                                {"Fn::Split": [":oidc-provider/", {"Fn::ImportValue": "x"}]},
                            ]
                        },
                    },
                ]
            }
        ),
    ),
    (
        "ok provider by parameter, keys literal",
        role(document(statement(Principal={"Federated": {"Ref": "X"}})), **UNTOLD),
    ),
    (
        "open stack set in YAML",
        {
            "Resources": {
                "S": {
                    "Type": "AWS::CloudFormation::StackSet",
                    "Properties": {"TemplateBody": STACK_SET},
                }
            }
        },
    ),
    (
        "blind stack set in no language",
        {
            "Resources": {
                "S": {
                    "Type": "AWS::CloudFormation::StackSet",
                    "Properties": {"TemplateBody": "Resources: ["},
                }
            }
        },
    ),
]
