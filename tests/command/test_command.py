"""The command as people and pipelines meet it: exit codes, reports, what it reads."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from irsa_stack.command.main import main
from irsa_stack.review.reports.objects import SCHEMA_FILE

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
ROLE_ARN = "arn:aws:iam::111122223333:role/api"


def trust(subject="system:serviceaccount:apps:api", operator="StringEquals", **more):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": PROVIDER},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}
                    | ({f"{ISSUER}:sub": subject} if operator == "StringEquals" else {}),
                    **(
                        {operator: {f"{ISSUER}:sub": subject}} if operator != "StringEquals" else {}
                    ),
                    **more,
                },
            }
        ],
    }


OPEN = trust("system:serviceaccount:*:*", "StringLike")
PATTERN = trust("system:serviceaccount:apps:job-*", "StringLike")


def template(document=None, actions=("s3:GetObject",)):
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "arn:aws:s3:::b/*"}
    return {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": "api",
                    "AssumeRolePolicyDocument": document or trust(),
                    "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [statement]}}],
                },
            }
        }
    }


MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata:
  name: apps
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: api
  namespace: apps
  annotations:
    eks.amazonaws.com/role-arn: {ROLE_ARN}
"""


@pytest.fixture
def file(tmp_path):
    def written(content, name="a.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        return str(path)

    return written


def run(*arguments, **options):
    return CliRunner().invoke(main, [str(one) for one in arguments], **options)


def report(*arguments):
    result = run(*arguments, "--format", "json")
    return json.loads(result.stdout)


# Exit codes.


def test_clean_is_0(file):
    assert run("review", file(template())).exit_code == 0


def test_a_finding_at_the_threshold_is_1(file):
    assert run("review", file(template(OPEN))).exit_code == 1


@pytest.mark.parametrize(("threshold", "code"), [("critical", 0), ("info", 1), ("none", 0)])
def test_the_threshold_decides(file, threshold, code):
    assert run("review", file(template(PATTERN)), "--fail-on", threshold).exit_code == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["review"],
        ["review", "a", "--format", "mermaid"],
        ["review", "a", "--ignore", "IRSA101"],
        ["review", "a", "--ignore", "IRSA999:x=reason"],
        ["review", "a", "--baseline", "missing"],
        ["access", "a", "--parameters", "nonsense"],
        ["explain", "no-namespace", "a"],
        ["diff", "one"],
        ["nothing"],
    ],
)
def test_wrong_usage_is_2(arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("subcommand", ["review", "access"])
def test_what_is_not_there_is_3(subcommand, tmp_path):
    assert run(subcommand, tmp_path / "missing").exit_code == 3


@pytest.mark.parametrize("content", ["{", "a: [", '{"a": 1}', "", "a: !!python/object:os.system x"])
@pytest.mark.parametrize("subcommand", ["review", "access"])
def test_what_cannot_be_read_is_3(file, subcommand, content):
    assert run(subcommand, file(content)).exit_code == 3


def test_a_folder_with_nothing_in_it_is_3(tmp_path):
    assert run("review", tmp_path).exit_code == 3


ODD = [
    {"Resources": {"R": None, "S": {"Type": "AWS::IAM::Role", "Properties": None}}},
    {
        "Resources": {
            "R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": "{"}}
        }
    },
    {"Resources": {"R": {"Type": "AWS::IAM::Policy", "Properties": {"PolicyDocument": 7}}}},
    {
        "Resources": {
            "R": {"Type": "Custom::ServiceAccounts", "Properties": {"ServiceAccounts": [1]}}
        }
    },
    {"planned_values": None, "configuration": None, "resource_changes": [{"change": None}]},
    {"Statement": {"Effect": "Allow", "Principal": [1], "Action": 7, "Condition": []}},
    "kind: List\napiVersion: v1\nitems: [null, 5, {apiVersion: v1, kind: ServiceAccount}]",
    "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: 5, annotations: [a]}",
]


@pytest.mark.parametrize("content", ODD)
def test_no_content_breaks_it(file, content):
    path = file(content)
    for arguments in (
        ["review"],
        ["access"],
        ["explain", "a/b"],
        ["diff", path],
    ):
        result = run(*arguments, path)
        assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_resource_without_a_type_is_not_passed_over(file):
    content = template()
    content["Resources"]["Broken"] = None
    result = run("review", file(content))
    assert (result.exit_code, "'Broken'" in result.stderr) == (3, True)


def test_one_bad_file_hides_nothing_of_the_others(file):
    good, bad = file(template(OPEN)), file("{", "b.json")
    result = run("review", bad, good, "--format", "json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert [one["id"] for one in found["findings"]] == ["IRSA103"]
    assert len(found["unread"]) == 1
    assert "b.json" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (template(), template(), 0),
        (template(), template(actions=["s3:GetObject", "s3:PutObject"]), 1),
        (template(actions=["s3:GetObject", "s3:PutObject"]), template(), 0),
        (template(), template(actions=["s3:PutObject"]), 1),
    ],
)
def test_wider_access_is_1(file, old, new, code):
    assert run("diff", file(old), file(new, "b.json")).exit_code == code


def test_a_side_that_cannot_be_read_is_3(file):
    assert run("diff", file(template()), file("{", "b.json")).exit_code == 3


# What it reads.


def subjects(*paths):
    return {(one["subject"], one["role"]) for one in report("access", *paths)["grants"]}


@pytest.mark.parametrize(
    "content",
    [
        template(),
        template(json.dumps(trust())),
        """
        Parameters:
          Issuer: {Type: String, Default: ISSUER}
        Resources:
          Role:
            Type: AWS::IAM::Role
            Properties:
              RoleName: api
              AssumeRolePolicyDocument: !Sub |
                {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                 "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/${Issuer}"},
                 "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {
                 "${Issuer}:aud": "sts.amazonaws.com",
                 "${Issuer}:sub": "system:serviceaccount:apps:api"}}}]}
        """.replace("ISSUER", ISSUER),
        {"terraform_version": "1", "planned_values": {"root_module": {"resources": [
            {"address": "aws_iam_role.r", "mode": "managed", "type": "aws_iam_role",
             "values": {"name": "api", "assume_role_policy": json.dumps(trust())}}]}}},
        {"apiVersion": "iam.services.k8s.aws/v1alpha1", "kind": "Role", "metadata": {"name": "x"},
         "spec": {"name": "api", "assumeRolePolicyDocument": json.dumps(trust())}},
        {"apiVersion": "iam.aws.upbound.io/v1beta1", "kind": "Role", "metadata": {"name": "api"},
         "spec": {"forProvider": {"assumeRolePolicy": json.dumps(trust())}}},
    ],
    ids=["object", "text", "short tags", "plan", "ACK", "Crossplane"],
)  # fmt: skip
def test_a_role_is_read_wherever_it_is_written(file, content):
    assert subjects(file(content, "named.anything")) == {("apps/api", "api")}


def test_a_bare_trust_policy_is_read(file):
    [grant] = report("access", file(trust()))["grants"]
    assert (grant["subject"], grant["bound"]) == ("apps/api", ["trust only"])


def test_standard_input_is_read():
    result = run("access", "-", "--format", "json", input=json.dumps(trust()))
    assert json.loads(result.stdout)["grants"][0]["subject"] == "apps/api"


def test_sources_are_read_together(file):
    paths = file(template()), file(MANIFEST, "m.yaml")
    [grant] = report("access", *paths)["grants"]
    assert grant["bound"] == ["annotation"]
    assert grant["certainty"] == "certain"


def test_a_folder_is_read_whole(file, tmp_path):
    file(template())
    file(MANIFEST, "deep/m.yaml")
    file({"name": "no template"}, "package.json")
    assert report("access", tmp_path)["grants"][0]["bound"] == ["annotation"]


def test_an_account_that_the_role_does_not_trust_is_said(file):
    paths = file(template(trust("system:serviceaccount:apps:web"))), file(MANIFEST, "m.yaml")
    grants = {one["subject"]: one["certainty"] for one in report("access", *paths)["grants"]}
    assert grants == {"apps/api": "denied", "apps/web": "certain"}


DATA = {
    "terraform_version": "1",
    "planned_values": {"root_module": {"resources": [
        {"address": "aws_iam_role.r", "mode": "managed", "type": "aws_iam_role",
         "values": {"name": "api"}}]}},
    "configuration": {"root_module": {"resources": [
        {"address": "aws_iam_role.r", "mode": "managed", "type": "aws_iam_role", "name": "r",
         "expressions": {"assume_role_policy": {"references":
            ["data.aws_iam_policy_document.d.json", "data.aws_iam_policy_document.d"]}}},
        {"address": "data.aws_iam_policy_document.d", "mode": "data",
         "type": "aws_iam_policy_document", "name": "d", "expressions": {"statement": [{
            "actions": {"constant_value": ["sts:AssumeRoleWithWebIdentity"]},
            "principals": [{
                "type": {"constant_value": "Federated"},
                "identifiers": {"references": ["aws_iam_openid_connect_provider.p.arn"]}}],
            "condition": [
                {"test": {"constant_value": "StringEquals"},
                 "variable": {"constant_value": f"{ISSUER}:aud"},
                 "values": {"constant_value": ["sts.amazonaws.com"]}},
                {"test": {"constant_value": "StringEquals"},
                 "variable": {"constant_value": f"{ISSUER}:sub"},
                 "values": {"constant_value": ["system:serviceaccount:apps:api"]}}]}]}}]}},
}  # fmt: skip


def test_a_plan_whose_trust_is_known_only_after_apply_is_read_by_its_references(file):
    assert subjects(file(DATA)) == {("apps/api", "api")}


def test_a_key_that_only_apply_tells_is_known_by_its_values(file):
    text = json.dumps(DATA)
    for claim in ("aud", "sub"):
        known = json.dumps({"constant_value": f"{ISSUER}:{claim}"})
        text = text.replace(known, '{"references": ["aws_iam_openid_connect_provider.p.url"]}')
    path = file(text)
    assert subjects(path) == {("apps/api", "api")}
    assert report("review", path)["findings"] == []


@pytest.fixture
def assembly(tmp_path):
    def written(folder, stacks, **artifacts):
        folder = tmp_path / folder
        folder.mkdir(parents=True, exist_ok=True)
        found = dict(artifacts)
        for name, content in stacks.items():
            (folder / f"{name}.template.json").write_text(json.dumps(content))
            found[name] = {
                "type": "aws:cloudformation:stack",
                "environment": "aws://111122223333/eu-west-1",
                "properties": {"templateFile": f"{name}.template.json"},
            }
        (folder / "manifest.json").write_text(json.dumps({"version": "1", "artifacts": found}))
        return str(folder)

    return written


def test_stages_of_a_cdk_out_are_read(assembly):
    assembly("cdk.out/assembly-Prod", {"s": template()})
    stage = {"type": "cdk:cloud-assembly", "properties": {"directoryName": "assembly-Prod"}}
    assert subjects(assembly("cdk.out", {}, Prod=stage)) == {("apps/api", "api")}


def test_nested_stacks_are_read_with_their_parameters(assembly, tmp_path):
    nested = template()
    nested["Parameters"] = {"Subject": {"Type": "String"}}
    condition = nested["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    condition[0]["Condition"]["StringEquals"][f"{ISSUER}:sub"] = {"Ref": "Subject"}
    parent = {
        "Resources": {
            "Nested": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"Parameters": {"Subject": "system:serviceaccount:apps:deep"}},
                "Metadata": {"aws:asset:path": "n.nested.template.json"},
            }
        }
    }
    folder = assembly("cdk.out", {"s": parent})
    (tmp_path / "cdk.out" / "n.nested.template.json").write_text(json.dumps(nested))
    assert subjects(folder) == {("apps/deep", "api")}


def test_a_role_of_another_stack_is_found_through_its_export(assembly):
    role = template()
    role["Outputs"] = {
        "Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}, "Export": {"Name": "role"}}
    }
    association = {
        "Resources": {
            "A": {
                "Type": "AWS::EKS::PodIdentityAssociation",
                "Properties": {
                    "ClusterName": "c",
                    "Namespace": "apps",
                    "ServiceAccount": "api",
                    "RoleArn": {"Fn::ImportValue": "role"},
                },
            }
        }
    }
    folder = assembly("cdk.out", {"b": association, "a": role})
    assert ("apps/api", "api") in subjects(folder)
    certainty = {one["bound"][0]: one["certainty"] for one in report("access", folder)["grants"]}
    assert certainty == {"association": "denied", "trust only": "certain"}


def test_a_parameter_can_be_given(file):
    content = template()
    content["Parameters"] = {"Name": {"Type": "String"}}
    statement = content["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    statement[0]["Condition"]["StringEquals"][f"{ISSUER}:sub"] = {
        "Fn::Sub": "system:serviceaccount:apps:${Name}"
    }
    path = file(content)
    [unknown] = report("access", path)["grants"]
    assert unknown["certainty"] == "unknown"
    [known] = report("access", path, "--parameters", "Name=api")["grants"]
    assert (known["subject"], known["certainty"]) == ("apps/api", "certain")


# Findings: where, known, meant.


def test_a_finding_has_file_line_and_cure(file):
    path = file(template(OPEN))
    [finding] = report("review", path)["findings"]
    assert (finding["id"], finding["severity"], finding["path"]) == ("IRSA103", "critical", path)
    assert Path(path).read_text().splitlines()[finding["line"] - 1].strip().startswith('"Role"')
    assert finding["fix"]


def test_a_finding_that_is_meant_is_counted_and_fails_nothing(file):
    path = file(template(OPEN))
    result = run("review", path, "--ignore", "IRSA103:Ro*=a sandbox", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ignored"][0]["reason"] == "a sandbox"


def test_another_resource_is_not_meant(file):
    assert run("review", file(template(OPEN)), "--ignore", "IRSA103:Other=why").exit_code == 1


def test_what_a_baseline_has_is_known(file, tmp_path):
    path, baseline = file(template(OPEN)), tmp_path / "baseline.json"
    run("review", path, "--format", "json", "--output", baseline)
    Path(path).write_text("\n\n" + Path(path).read_text())
    result = run("review", path, "--baseline", baseline, "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["summary"]["known"] == 1


# Explain.


def test_explain_names_the_first_broken_link_with_both_sides(file):
    paths = file(template(trust("system:serviceaccount:apps:web"))), file(MANIFEST, "m.yaml")
    result = run("explain", "apps/api", *paths, "--format", "json")
    assert result.exit_code == 1
    broken = [one for one in json.loads(result.stdout)["links"] if one["state"] == "broken"]
    assert broken[0]["name"] == "subject"
    assert broken[0]["presented"] == "system:serviceaccount:apps:api"
    assert broken[0]["configured"] == "system:serviceaccount:apps:web"


def test_explain_is_0_when_no_link_is_broken(file):
    paths = file(template()), file(MANIFEST, "m.yaml")
    assert run("explain", "apps/api", *paths).exit_code == 0


# Reports.

SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("review", ["review", "{a}", "{m}"]),
        ("access", ["access", "{a}", "{m}"]),
        ("diff", ["diff", "{a}", "{b}"]),
        ("explain", ["explain", "apps/api", "{a}", "{m}"]),
    ],
)
def test_json_keeps_its_schema(file, kind, arguments):
    paths = {
        "a": file(template(OPEN)),
        "b": file(template(PATTERN, ["s3:*"]), "b.json"),
        "m": file(MANIFEST, "m.yaml"),
    }
    found = report(*(one.format(**paths) for one in arguments))
    jsonschema.validate(found, {**SCHEMA, "$ref": f"#/$defs/{kind}"})
    assert found["schema"] == "irsa-stack/1"


@pytest.mark.parametrize("form", ["text", "json", "sarif", "markdown", "html"])
def test_a_report_can_go_to_a_file(file, tmp_path, form):
    path, out = file(template(OPEN)), tmp_path / "out"
    result = run("review", path, "--format", form, "--output", out)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "IRSA103" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["markdown", "html", "mermaid", "text"])
def test_two_runs_are_byte_for_byte_the_same(file, form):
    path = file(template(PATTERN))
    assert (
        run("access", path, "--format", form).stdout == run("access", path, "--format", form).stdout
    )


def test_markdown_folds_what_is_lost(file):
    old, new = (
        file(template()),
        file(template(actions=["s3:PutObject"], document=PATTERN), "b.json"),
    )
    text = run("diff", old, new, "--format", "markdown").stdout
    assert text.startswith("## Change of access\n\n**Access is")
    assert text.index("gained") < text.index("<details>") < text.index("| lost |")


def test_sarif_is_what_github_reads(file):
    path = file(template(OPEN))
    found = json.loads(run("review", path, "--format", "sarif").stdout)
    [one] = found["runs"]
    [result] = one["results"]
    rule = one["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (found["version"], rule["id"]) == ("2.1.0", result["ruleId"])
    assert float(rule["properties"]["security-severity"]) >= 9
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == path.removeprefix("/")
    assert location["region"]["startLine"] > 1
    assert result["partialFingerprints"]


# Against a commit.


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def test_a_commit_can_be_compared_with(assembly, tmp_path):
    folder = assembly("cdk.out", {"s": template()})
    git(tmp_path, "init")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-m", "a")
    assert run("diff", folder, "--against", "HEAD").exit_code == 0
    assembly("cdk.out", {"s": template(actions=["s3:*"])})
    assert run("diff", folder, "--against", "HEAD").exit_code == 1
    assert run("diff", folder, "--against", "no-such-commit").exit_code == 3


# What it needs.


def test_no_cdk_and_no_node_is_started(file):
    check = (
        "import atexit, sys\n"
        "heavy = {'aws_cdk', 'jsii', 'constructs'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules))))\n"
        "from irsa_stack.command.main import main\n"
        f"main(['review', {file(template())!r}], standalone_mode=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False, env={"PATH": ""}
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "irsa_stack", "--help"], capture_output=True, text=True, check=True
    )
    assert "thumbprint" in done.stdout


def test_the_thumbprint_by_hand_is_a_subcommand(capfd):
    with pytest.raises(SystemExit) as ended:
        main(["thumbprint", "--help"])
    assert ended.value.code == 0
    assert "--ca-bundle" in capfd.readouterr().out
