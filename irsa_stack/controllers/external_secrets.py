"""External Secrets Operator: reads named secrets and parameters, and no other.

See: https://external-secrets.io/latest/provider/aws-secrets-manager/
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irsa_stack.controllers.scopes import KEY, PARAMETER, ROLE, SECRET, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow, use_keys
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class ExternalSecrets(ControllerSpec):
    """Copies secrets of Secrets Manager and parameters of Systems Manager into a cluster.

    It reads what is named. To push secrets, give the role the permission for those names. A store
    of its own for a team: name the team's service account in `serviceAccountRef` and give that one
    the role, because whoever may write an ExternalSecret reads with the controller's role.

    Examples:
        >>> from irsa_stack.controllers import ExternalSecrets
        >>> secrets = ExternalSecrets(
        ...     secrets=["arn:aws:secretsmanager:eu-west-1:111122223333:secret:payments/*"]
        ... )
    """

    secrets: Sequence[str] = ()
    """ARNs of the secrets that it reads: a path that ends with `/*`, or a name that ends with
    `-??????`, for the six characters that AWS adds."""
    parameters: Sequence[str] = ()
    """ARNs of the parameters that it reads, a path ending with `/*`."""
    kms_keys: Sequence[str] = ()
    """ARNs of the keys that they are encrypted with. Default: AWS's own keys."""
    find: bool = False
    """Whether stores search by name or tag, `dataFrom.find`: that lists the names, though not the
    values, of all secrets of the AWS account."""
    assume_roles: Sequence[str] = ()
    """ARNs of the roles that stores name, for other AWS accounts. Default: none."""

    upstream = Upstream(
        policy="https://external-secrets.io/latest/provider/aws-secrets-manager/",
        version="v2.9.0",
        released="2026-08-07",
        minimum="v0.12.0",
        because="reads in batches, which asks for each secret as well",
        chart="external-secrets",
        repository="https://charts.external-secrets.io",
        chart_version="2.9.0",
    )
    namespace = "external-secrets"
    service_account = "external-secrets"
    wildcards = {
        "ReadSecrets": "secrets of the paths and names given; AWS ends each with six characters",
        "ReadParameters": "parameters of the paths given",
        "FindSecrets": "Secrets Manager lists on no resource level; values need ReadSecrets",
        "FindParameters": "Systems Manager lists on no resource level; values need ReadParameters",
    }

    def faults(self) -> Iterator[str]:
        yield from list_faults(self.secrets, SECRET, of="secrets")
        yield from list_faults(self.parameters, PARAMETER, of="parameters")
        yield from list_faults(self.kms_keys, KEY, of="kms_keys")
        yield from list_faults(self.assume_roles, ROLE, of="assume_roles")
        if not self.secrets and not self.parameters and not self.assume_roles:
            yield "secrets must name at least one, got []; or give parameters or assume_roles"

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        statements: list[Statement] = []
        if self.secrets:
            read = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
            statements.append(allow("ReadSecrets", read, self.secrets))
            if self.find:
                list_all = ["secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets"]
                statements.append(allow("FindSecrets", list_all, ["*"]))
        if self.parameters:
            actions = ["ssm:GetParameter", "ssm:GetParametersByPath", "ssm:ListTagsForResource"]
            statements.append(allow("ReadParameters", actions, self.parameters))
            if self.find:
                statements.append(allow("FindParameters", ["ssm:DescribeParameters"], ["*"]))
        keys = use_keys(location, self.kms_keys, ["Decrypt"], service="secretsmanager")
        for statement in keys:
            via = [*location.services("secretsmanager"), *location.services("ssm")]
            statement["Condition"] = {"StringEquals": {"kms:ViaService": via}}
        if self.assume_roles:
            statements.append(allow("ReachOtherAccounts", ["sts:AssumeRole"], self.assume_roles))
        return {"ExternalSecrets": [*statements, *keys]}
