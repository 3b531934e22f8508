"""What AWS refuses, told from small templates."""

import copy

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from rehearsal.refusals import RULES, Change, Place, refusals
from rehearsal.refusals.exports import imported
from rehearsal.refusals.replacement import CREATE_ONLY, NAMES

CHINA = Place(partition="aws-cn", region="cn-north-1", url_suffix="amazonaws.com.cn")
VIRGINIA = Place(
    zones={"us-east-1a": "use1-az1", "us-east-1b": "use1-az2", "us-east-1e": "use1-az3"}
)


def resource(kind, **properties):
    return {"Type": kind, "Properties": properties}


def template(outputs=None, **resources):
    return {"Resources": resources, "Outputs": outputs or {}}


def exporting(value):
    return {"Out": {"Value": value, "Export": {"Name": "exporter:Out"}}}


def subnet(zone, block, vpc="Vpc"):
    return resource("AWS::EC2::Subnet", AvailabilityZone=zone, CidrBlock=block, VpcId={"Ref": vpc})


def vpc(block="10.0.0.0/16"):
    return resource("AWS::EC2::VPC", CidrBlock=block)


def cluster(version="1.35", *, subnets=(), name="shop", **properties):
    network = {
        "SubnetIds": [{"Ref": name} for name in subnets],
        "PublicAccessCidrs": ["0.0.0.0/0"],
        **properties.pop("ResourcesVpcConfig", {}),
    }
    return resource(
        "AWS::EKS::Cluster",
        Name=name,
        Version=version,
        RoleArn={"Fn::GetAtt": ["Role", "Arn"]},
        ResourcesVpcConfig=network,
        **properties,
    )


def role(*services, path="/", **properties):
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": list(services)}}]}
    return resource("AWS::IAM::Role", Path=path, AssumeRolePolicyDocument=trust, **properties)


def nodes(**properties):
    return resource(
        "AWS::EKS::Nodegroup",
        **{
            "ClusterName": {"Ref": "Cluster"},
            "NodeRole": {"Fn::GetAtt": ["NodeRole", "Arn"]},
            "Version": "1.35",
            "ScalingConfig": {"MaxSize": 3},
            "LaunchTemplate": {
                "Id": {"Ref": "Launch"},
                "Version": {"Fn::GetAtt": ["Launch", "LatestVersionNumber"]},
            },
            **properties,
        },
    )


def launch(data="one"):
    return resource("AWS::EC2::LaunchTemplate", LaunchTemplateData={"UserData": data})


def node_stack(*, version="1.35", data="one", node_role=None, **properties):
    return template(
        Cluster=cluster(version),
        Launch=launch(data),
        NodeRole=node_role or role("ec2.amazonaws.com"),
        Nodes=nodes(**properties),
    )


def key(principal):
    statement = {"Effect": "Allow", "Principal": {"Service": principal}}
    return resource("AWS::KMS::Key", KeyPolicy={"Statement": [statement]})


LOGS = {"Fn::Join": ["", ["logs.", {"Ref": "AWS::Region"}, ".amazonaws.com"]]}
BOTH_NAMES = role("ec2.amazonaws.com", {"Fn::Sub": "ec2.${AWS::URLSuffix}"})
PROVIDER = {"Url": "https://oidc.eks.us-east-1.amazonaws.com/id/0123"}


def provider(**properties):
    return template(P=resource("AWS::IAM::OIDCProvider", **PROVIDER, **properties))


def custom(function="one", **properties):
    return template(C=resource("Custom::Thing", ServiceToken=function, **properties))


def group(description):
    return template(G=resource("AWS::EC2::SecurityGroup", GroupDescription=description))


def policy(statements):
    body = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/" + "x" * 50}
    return {"Version": "2012-10-17", "Statement": [body] * statements}


def log_group(name="/aws/eks/shop/cluster", **properties):
    return resource("AWS::Logs::LogGroup", LogGroupName=name, **properties)


ROLED = template(Role=role("eks.amazonaws.com"), Cluster=cluster())
ZONED = template(
    Vpc=vpc(),
    A=subnet("us-east-1a", "10.0.0.0/24"),
    B=subnet("us-east-1b", "10.0.1.0/24"),
    C=subnet("us-east-1e", "10.0.2.0/24"),
    Cluster=cluster(subnets=("A", "B")),
)


def zoned(*subnets):
    changed = copy.deepcopy(ZONED)
    changed["Resources"]["Cluster"] = cluster(subnets=subnets)
    return changed


EXPORTING = template(exporting({"Ref": "Vpc"}), Vpc=vpc())
# Old template (None: a create), new one, the rule and a part of what AWS says; None: not refused.
CASES = {
    "an export goes that is imported": (
        EXPORTING,
        template(Vpc=vpc()),
        "export in use",
        "Export exporter:Out cannot be deleted as it is in use by importer",
    ),
    "an export gets another value": (
        EXPORTING,
        template(exporting({"Fn::GetAtt": ["Vpc", "CidrBlock"]}), Vpc=vpc()),
        "export in use",
        "cannot be updated as it is in use by importer",
    ),
    "an exported resource is replaced": (
        EXPORTING,
        template(exporting({"Ref": "Vpc"}), Vpc=vpc("10.1.0.0/16")),
        "export in use",
        "cannot be updated",
    ),
    "an export stays": (EXPORTING, EXPORTING, None, ""),
    "a role of a named cluster moves": (
        ROLED,
        template(Role=role("eks.amazonaws.com", path="/irsa/"), Cluster=cluster()),
        "named resource replaced",
        "Rename shop and update the stack again",
    ),
    "a role of a named cluster gets a boundary": (
        ROLED,
        template(Role=role("eks.amazonaws.com", PermissionsBoundary="arn"), Cluster=cluster()),
        None,
        "",
    ),
    "a log group under another logical id": (
        template(One=log_group()),
        template(Two=log_group()),
        "name taken",
        "/aws/eks/shop/cluster already exists in stack",
    ),
    "a log group with another name": (
        template(One=log_group()),
        template(Two=log_group("/aws/eks/other/cluster")),
        None,
        "",
    ),
    "a logical id with another type": (
        template(X=log_group()),
        template(X=vpc()),
        "type changed",
        "Update of resource type is not permitted",
    ),
    "another function": (
        custom(),
        custom("two"),
        "service token changed",
        "Modifying service token is not allowed",
    ),
    "an hour and more": (None, custom(ServiceTimeout=3601), "service timeout", "3600"),
    "a version that is gone": (
        None,
        template(Cluster=cluster("1.31")),
        "cluster version",
        "unsupported Kubernetes version",
    ),
    "the oldest version": (None, template(Cluster=cluster("1.32")), None, ""),
    "a version that is not there yet": (
        None,
        template(Cluster=cluster("1.37")),
        "cluster version",
        "unsupported Kubernetes version",
    ),
    "two versions up": (
        template(Cluster=cluster("1.33")),
        template(Cluster=cluster("1.35")),
        "cluster version",
        "Unsupported Kubernetes minor version update from 1.33 to 1.35",
    ),
    "a version down": (
        template(Cluster=cluster("1.35")),
        template(Cluster=cluster("1.34")),
        "cluster version",
        "from 1.35 to 1.34",
    ),
    "one version up": (
        template(Cluster=cluster("1.35")),
        template(Cluster=cluster("1.36")),
        None,
        "",
    ),
    "a zone for another": (ZONED, zoned("A", "C"), "cluster zones", "exact set of AZs"),
    "one zone only": (None, zoned("A"), "cluster zones", "at least two different AZs"),
    "a zone without EKS": (None, zoned("A", "C"), "zone without EKS", "because us-east-1e"),
    "public access left out": (
        template(Cluster=cluster()),
        template(
            Cluster=resource(
                "AWS::EKS::Cluster",
                Name="shop",
                Version="1.35",
                RoleArn={"Fn::GetAtt": ["Role", "Arn"]},
                ResourcesVpcConfig={"SubnetIds": []},
            )
        ),
        "public access left out",
        "property PublicAccessCidrs missing",
    ),
    "a launch template and sizes": (
        node_stack(),
        node_stack(data="two", ScalingConfig={"MaxSize": 4}),
        "node group updates combined",
        "cannot be combined with other updates",
    ),
    "a version and a tag": (
        node_stack(),
        node_stack(version="1.36", Version="1.36", Tags={"Team": "a"}),
        "node group updates combined",
        "cannot be combined",
    ),
    "a launch template": (node_stack(), node_stack(data="two"), None, ""),
    "sizes": (node_stack(), node_stack(ScalingConfig={"MaxSize": 4}), None, ""),
    "a replaced group": (
        node_stack(),
        node_stack(data="two", ScalingConfig={"MaxSize": 4}, InstanceTypes=["m7i.large"]),
        None,
        "",
    ),
    "nodes newer than the cluster": (
        None,
        node_stack(version="1.34"),
        "node group version",
        "must not be newer",
    ),
    "nodes four versions older": (
        node_stack(version="1.35", Version=None, ReleaseVersion="1.32.9-20261101"),
        node_stack(version="1.36", Version=None, ReleaseVersion="1.32.9-20261101"),
        "node group version",
        "must be updated to match",
    ),
    "addresses of a subnet that goes": (
        template(Vpc=vpc(), A=subnet("a", "10.0.0.0/20")),
        template(Vpc=vpc(), B=subnet("b", "10.0.0.0/24")),
        "subnet conflict",
        "The CIDR '10.0.0.0/24' conflicts with another subnet",
    ),
    "a subnet in another zone": (
        template(Vpc=vpc(), A=subnet("a", "10.0.0.0/24")),
        template(Vpc=vpc(), A=subnet("b", "10.0.0.0/24")),
        "subnet conflict",
        "conflicts with another subnet",
    ),
    "the same addresses in another VPC": (
        template(Vpc=vpc(), Other=vpc(), A=subnet("a", "10.0.0.0/24")),
        template(
            Vpc=vpc(),
            Other=vpc(),
            A=subnet("a", "10.0.0.0/24"),
            B=subnet("a", "10.0.0.0/24", "Other"),
        ),
        None,
        "",
    ),
    "an apostrophe": (None, group("the cluster's"), "description", "GroupDescription is invalid"),
    "a plain description": (None, group("To the cluster: binds (all) accounts"), None, ""),
    "a provider without thumbprints": (None, provider(), None, ""),
    "a tag of one": (
        provider(),
        provider(Tags=[{"Key": "a", "Value": "b"}]),
        "thumbprints left out",
        "Value null at 'thumbprintList'",
    ),
    "six thumbprints": (None, provider(ThumbprintList=["a" * 40] * 6), "thumbprints", "at most 5"),
    "no thumbprint": (None, provider(ThumbprintList=["SHA256"]), "thumbprints", "40 hexadecimal"),
    "a trust policy too long": (
        None,
        template(R=role(*["ec2.amazonaws.com"] * 120)),
        "IAM quota",
        "ACLSizePerRole: 2048",
    ),
    "inline policies too long together": (
        None,
        template(
            R=role("a", Policies=[{"PolicyName": "P", "PolicyDocument": policy(50)}]),
            P=resource(
                "AWS::IAM::RolePolicy",
                RoleName={"Ref": "R"},
                PolicyName="Q",
                PolicyDocument=policy(50),
            ),
        ),
        "IAM quota",
        "Maximum policy size of 10240 bytes exceeded",
    ),
    "a managed policy too long": (
        None,
        template(P=resource("AWS::IAM::ManagedPolicy", PolicyDocument=policy(60))),
        "IAM quota",
        "PolicySize: 6144",
    ),
    "eleven policies": (
        None,
        template(R=role("a", ManagedPolicyArns=["arn"] * 11)),
        "IAM quota",
        "PoliciesPerRole: 10",
    ),
    "an event kept too short": (
        None,
        template(E=resource("AWS::Lambda::EventInvokeConfig", MaximumEventAgeInSeconds=59)),
        "number out of range",
        "between 60 and 21600",
    ),
}


def change(old, new, **options):
    return Change(
        stack="exporter",
        old=old,
        new=new,
        imports={"exporter:Out": ["importer"]},
        **{"place": VIRGINIA, **options},
    )


@pytest.mark.parametrize(("old", "new", "rule", "message"), CASES.values(), ids=CASES)
def test_aws_refuses_what_breaks_a_rule_and_nothing_else(old, new, rule, message):
    found = change(old, new)
    broken = {name: list(check(found)) for name, check in RULES.items()}
    assert [name for name, faults in broken.items() if faults] == ([rule] if rule else [])
    if rule:
        assert message in broken[rule][0].message


@pytest.mark.parametrize(
    ("node_role", "place", "missing"),
    [
        (role("ec2.amazonaws.com"), VIRGINIA, None),
        (role("ec2.amazonaws.com"), CHINA, "[ec2.amazonaws.com.cn]"),
        (BOTH_NAMES, VIRGINIA, None),
        (BOTH_NAMES, CHINA, None),
    ],
    ids=["one name", "one name in China", "both names", "both names in China"],
)
def test_a_node_role_names_ec2_as_its_partition_does(node_role, place, missing):
    found = refusals(change(None, node_stack(node_role=node_role), place=place))
    assert [refusal.message for refusal in found if missing is None] == []
    assert all(missing in refusal.message for refusal in found)
    assert bool(found) is bool(missing)


@pytest.mark.parametrize(("place", "refused"), [(VIRGINIA, False), (CHINA, True)])
def test_a_key_policy_names_logs_as_its_partition_does(place, refused):
    found = refusals(change(None, template(K=key(LOGS)), place=place))
    assert bool(found) is refused


def test_a_changed_stack_tag_counts_as_another_update_of_the_node_group():
    found = refusals(change(node_stack(), node_stack(data="two"), tags={"Team": "a"}))
    assert [refusal.resource for refusal in found] == ["Nodes"]


def test_an_export_that_nobody_imports_may_go():
    alone = Change(stack="exporter", old=EXPORTING, new=template(Vpc=vpc()))
    assert refusals(alone) == []


def test_imports_are_found_wherever_a_template_has_them():
    user = template(
        R=resource("AWS::IAM::Role", Path={"Fn::Sub": ["${a}", {"a": {"Fn::ImportValue": "e"}}]})
    )
    assert imported(user) == {"e"}


@pytest.mark.parametrize("kind", CREATE_ONLY)
def test_what_replaces_a_resource_is_what_its_schema_says(kind):
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    published = {
        path.removeprefix("/properties/") for path in schema.get("createOnlyProperties", [])
    }
    assert set(CREATE_ONLY[kind]) == published


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_is_made_of_properties_of_its_type(kind):
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    assert set(NAMES[kind]) <= set(schema["properties"])


def test_every_rule_is_broken_by_a_case():
    told_elsewhere = {"principal of another partition", "node role's principals"}
    assert {rule for _, _, rule, _ in CASES.values() if rule} | told_elsewhere == set(RULES)
