"""One synth in a process of its own: `designs.py DESIGN ACCOUNTS` prints what it made, as JSON.

Every design is the same work: an EKS cluster in an imported VPC, and per account a role that trusts
`aud` and `sub`, with one statement and three tags, and a ServiceAccount with two annotations and a
label `app.kubernetes.io/managed-by`.
"""

import gc
import json
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack
from constructs import Construct

REPOSITORY = Path(__file__).parent.parent
CLUSTER_NAME = "payments-bench"
KUBERNETES_VERSION = "1.36"
NAMESPACE = "apps"
# What the CDK CLI asks of an app that it deploys.
CLI_CONTEXT = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": True,
    "aws:cdk:version-reporting": True,
}


def names(accounts: int) -> Iterator[tuple[str, str]]:
    """Yield construct id and name of each account."""
    for position in range(accounts):
        yield f"Account{position:04}", f"account-{position:04}"


def actions_and_resource(name: str) -> tuple[list[str], str]:
    """Return what the role of an account may do."""
    return ["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::payments-bench-{name}/*"


def ours(stack: Stack, accounts: int) -> None:
    """Bind the accounts with this library, beside the cluster that `stock_v2` has."""
    _ours(stack, accounts, inline=True)


def ours_chosen(stack: Stack, accounts: int) -> None:
    """Likewise, but IAM chooses the provider's thumbprint, as in stock."""
    _ours(stack, accounts, inline=True, computed=False)


def ours_granted(stack: Stack, accounts: int) -> None:
    """Likewise, but each account's statement is a grant, in a policy of its own as in stock."""
    _ours(stack, accounts, inline=False)


def _ours(stack: Stack, accounts: int, *, inline: bool, computed: bool = True) -> None:
    from irsa_stack import EksOidcProvider, ServiceAccounts, Thumbprints

    cluster = _cluster_v2(stack)
    service_accounts = ServiceAccounts(
        stack,
        "ServiceAccounts",
        cluster=cluster,
        oidc_provider=EksOidcProvider(
            stack,
            "OidcProvider",
            issuer_url=cluster.cluster_open_id_connect_issuer_url,
            thumbprints=Thumbprints.computed() if computed else Thumbprints.chosen_by_iam(),
        ),
        kubernetes_version=KUBERNETES_VERSION,
    )
    for construct_id, name in names(accounts):
        allowed, where = actions_and_resource(name)
        if inline:
            statement = {"Effect": "Allow", "Action": allowed, "Resource": where}
            document = {"Version": "2012-10-17", "Statement": [statement]}
            service_accounts.add(
                f"{NAMESPACE}/{name}",
                id=construct_id,
                inline_policies={"Permissions": document},
            )
        else:
            account = service_accounts.add(f"{NAMESPACE}/{name}", id=construct_id)
            account.role.add_to_policy(_statement(name))


def stock_v2(stack: Stack, accounts: int) -> None:
    """Bind the accounts with `aws_eks_v2`, tagged, labelled and annotated as ours are."""
    _stock_accounts(_cluster_v2(stack, kubectl=True), accounts, extras=True)


def stock_v2_bare(stack: Stack, accounts: int) -> None:
    """Bind the accounts with `aws_eks_v2` as it comes: no tags, labels or second annotation."""
    _stock_accounts(_cluster_v2(stack, kubectl=True), accounts, extras=False)


def stock_v1(stack: Stack, accounts: int) -> None:
    """Bind the accounts with `aws_eks`, tagged, labelled and annotated as ours are."""
    from aws_cdk import aws_eks as eks
    from aws_cdk.lambda_layer_kubectl_v36 import KubectlV36Layer

    cluster = eks.Cluster(
        stack,
        "Cluster",
        cluster_name=CLUSTER_NAME,
        version=eks.KubernetesVersion.of(KUBERNETES_VERSION),
        vpc=_vpc(stack),
        default_capacity=0,
        output_config_command=False,
        kubectl_layer=KubectlV36Layer(stack, "Kubectl"),
    )
    _stock_accounts(cluster, accounts, extras=True)


def environment(accounts: int) -> dict[str, Any]:
    """Return an environment file with that many accounts, on an existing cluster."""
    return {
        "service_type": "payments",
        "environment": "bench",
        "vpc_cni": "keep",
        "cluster": {
            "existing": {
                "name": CLUSTER_NAME,
                "version": KUBERNETES_VERSION,
                "issuer_url": "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
                "endpoint": "https://0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
                "certificate_authority_data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
            }
        },
        "service_accounts": [
            {
                "namespace": NAMESPACE,
                "name": name,
                "statements": [{"actions": allowed, "resources": [where]}],
            }
            for _, name in names(accounts)
            for allowed, where in [actions_and_resource(name)]
        ],
    }


def app_py(app: App, accounts: int) -> None:
    """Bind the accounts as `app.py` does, spread over as many stacks as they need."""
    from irsa_stack.environment.environment import Environment
    from irsa_stack.stacks import define_stacks

    define_stacks(app, Environment.model_validate(environment(accounts)))


def _vpc(scope: Construct) -> Any:  # noqa: ANN401 (its import is part of what is measured)
    from aws_cdk import aws_ec2 as ec2

    return ec2.Vpc.from_vpc_attributes(
        scope,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        public_subnet_ids=["subnet-0123456789abcdef2", "subnet-0123456789abcdef3"],
    )


def _cluster_v2(stack: Stack, *, kubectl: bool = False) -> Any:  # noqa: ANN401 (likewise)
    from aws_cdk import aws_eks_v2 as eks

    options = None
    if kubectl:
        from aws_cdk.lambda_layer_kubectl_v36 import KubectlV36Layer

        options = eks.KubectlProviderOptions(kubectl_layer=KubectlV36Layer(stack, "Kubectl"))
    return eks.Cluster(
        stack,
        "Cluster",
        cluster_name=CLUSTER_NAME,
        version=eks.KubernetesVersion.of(KUBERNETES_VERSION),
        vpc=_vpc(stack),
        default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
        default_capacity=0,
        output_config_command=False,
        kubectl_provider_options=options,
    )


def _stock_accounts(cluster: Any, accounts: int, *, extras: bool) -> None:  # noqa: ANN401
    from aws_cdk import Tags

    for construct_id, name in names(accounts):
        account = cluster.add_service_account(
            construct_id,
            namespace=NAMESPACE,
            name=name,
            labels={"app.kubernetes.io/managed-by": "irsa-stack"} if extras else None,
            annotations=({"eks.amazonaws.com/sts-regional-endpoints": "true"} if extras else None),
        )
        account.add_to_principal_policy(_statement(name))
        if extras:
            tags = Tags.of(account)
            tags.add("ServiceAccountName", name)
            tags.add("ServiceAccountNamespace", NAMESPACE)
            tags.add("ClusterName", CLUSTER_NAME)


def _statement(name: str) -> Any:  # noqa: ANN401 (likewise)
    from aws_cdk import aws_iam as iam

    allowed, where = actions_and_resource(name)
    return iam.PolicyStatement(actions=allowed, resources=[where])


DESIGNS: Mapping[str, Callable[[Stack, int], None]] = {
    design.__name__: design
    for design in (ours, ours_chosen, ours_granted, stock_v2, stock_v2_bare, stock_v1)
}


def synthesise(design: str, accounts: int, folder: Path, context: Mapping[str, Any]) -> None:
    """Write the templates of *design* into *folder*."""
    flags = json.loads((REPOSITORY / "cdk.json").read_text(encoding="utf-8"))["context"]
    # Stock exceeds the limit from 121 accounts on; its growth is to be seen all the same.
    unlimited = {"@aws-cdk/core:stackResourceLimit": 0}
    app = App(outdir=str(folder), context={**flags, **unlimited, **context})
    if design == app_py.__name__:
        app_py(app, accounts)
    else:
        DESIGNS[design](Stack(app, "bench"), accounts)
    app.synth()


def count(folder: Path) -> dict[str, int]:
    """Count what the templates in *folder* hold; a template a stack, nested ones too."""
    files = sorted(folder.glob("*.template.json"))
    resources = [
        one["Type"]
        for file in files
        for one in json.loads(file.read_text(encoding="utf-8"))["Resources"].values()
    ]
    return {
        "stacks": len(files),
        "resources": len(resources),
        "custom_resources": sum(
            kind.startswith(("Custom::", "AWS::CloudFormation::CustomResource"))
            for kind in resources
        ),
        "bytes": sum(file.stat().st_size for file in files),
        "largest_stack_bytes": max(file.stat().st_size for file in files),
    }


def main(design: str, accounts: str, *options: str) -> None:
    """Synthesise once and print the counts."""
    with tempfile.TemporaryDirectory() as folder:
        context = CLI_CONTEXT if "--as-cli" in options else {}
        synthesise(design, int(accounts), Path(folder), context)
        python_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({**count(Path(folder)), "python_kib": python_kib}))


if __name__ == "__main__":
    # A full collection walks all of aws_cdk, 50 ms and more, and whether one falls into a synth is
    # chance: that of stock with one account ends just before one.
    gc.disable()
    sys.path.insert(0, str(REPOSITORY))
    main(*sys.argv[1:])
