"""What a controller is and may do, as plain data: one subclass and one file a controller."""

import ast
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar, Self

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.controllers.statements import Document, Location, Statement, document
from irsa_stack.controllers.upstream import Upstream
from irsa_stack.eks.naming import cluster_name_faults, vpc_id_faults
from irsa_stack.faults import refuse

_PARTITION = re.compile(r"arn:([a-z-]+):")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Say which cluster a controller runs in.

    Attributes:
        name: name of the cluster.
        vpc_id: its VPC, for the controllers that are held to it. Default: unknown.
        endpoint: URL of its API server. Default: unknown.
    """

    name: str
    vpc_id: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, kw_only=True)
class ControllerSpec(ABC):
    """Say what a controller is, what it is held to, and what it may do.

    A subclass adds its options, each with a docstring, and the class attributes below. Give it to
    `ServiceAccounts.add_controller`, or call `documents` for a role that another tool makes.

    Attributes:
        upstream: where the controller comes from, and the versions served.
        namespace: namespace of its service account, unless told otherwise.
        service_account: name of its service account, unless told otherwise.
        wildcards: for each statement that names more than single resources, the reason.
        addon: name of the EKS add-on that installs it. None: there is none.
        chart_path: where its chart takes the service account from, with dots.
        chart_annotates: whether its chart has a value for the service account's annotations; else
            only `ADOPT` gives a role to the account that the chart makes.
        quotes_annotations: whether its chart writes annotations unquoted, so that `true` must come
            with quotes of its own.
        needs_vpc: whether it is held to the VPC of its cluster.
    """

    upstream: ClassVar[Upstream]
    namespace: ClassVar[str] = "kube-system"
    service_account: ClassVar[str]
    wildcards: ClassVar[Mapping[str, str]] = {}
    addon: ClassVar[str | None] = None
    chart_path: ClassVar[str] = "serviceAccount"
    chart_annotates: ClassVar[bool] = True
    quotes_annotations: ClassVar[bool] = False
    needs_vpc: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what the options say wrongly; all faults at once."""
        refuse(self.faults())

    def faults(self) -> Iterator[str]:
        """Say what is wrong with the options."""
        yield from ()

    @abstractmethod
    def statements(self, cluster: Cluster, location: Location) -> Mapping[str, Sequence[Statement]]:
        """Return its statements, by the name of the policy that holds them."""

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        """Return what its Helm chart must be told besides the service account."""
        return {}

    def documents(self, cluster: Cluster, location: Location) -> dict[str, Document]:
        """Return its policies by name: the least that it needs in *cluster*.

        Raises:
            InvalidInput: *cluster* lacks what it is held to, or an ARN is in another partition.
        """
        refuse([*self.cluster_faults(cluster), *self._partition_faults(location)])
        return {
            name: document(*statements)
            for name, statements in self.statements(cluster, location).items()
            if statements
        }

    def cluster_faults(self, cluster: Cluster) -> Iterator[str]:
        """Say what *cluster* lacks."""
        yield from cluster_name_faults(cluster.name)
        if self.needs_vpc:
            yield from vpc_id_faults(self.vpc_of(cluster))

    def vpc_of(self, cluster: Cluster) -> str | None:
        """Return the VPC that it is held to: the one that it is told, or the cluster's."""
        return getattr(self, "vpc_id", None) or cluster.vpc_id

    @property
    def lacks_vpc(self) -> bool:
        """Whether only the cluster can tell the VPC that it is held to."""
        return self.needs_vpc and not getattr(self, "vpc_id", None)

    def in_vpc(self, vpc_id: str | None) -> Self:
        """Return it held to *vpc_id*, unless it is told another VPC or needs none."""
        options = {option.name: getattr(self, option.name) for option in fields(self)}
        return type(self)(**{**options, "vpc_id": vpc_id}) if self.lacks_vpc else self

    @classmethod
    def option_docs(cls) -> dict[str, str]:
        """Return the docstring of each option."""
        [body] = [node.body for node in ast.parse(inspect.getsource(cls)).body
                  if isinstance(node, ast.ClassDef)]  # fmt: skip
        return {
            option.target.id: inspect.cleandoc(text.value.value)
            for option, text in pairwise(body)
            if isinstance(option, ast.AnnAssign)
            and isinstance(option.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }

    def _partition_faults(self, location: Location) -> Iterator[str]:
        if is_deploy_time(location.partition):
            return
        for option in fields(self):
            for one in _texts(getattr(self, option.name)):
                found = _PARTITION.match(one)
                if found and found[1] != location.partition:
                    yield (
                        f"{option.name} must be in partition {location.partition}, got {one!r};"
                        " name one of the partition that the cluster is in"
                    )


def _texts(value: object) -> Iterator[str]:
    """Yield every text in an option's value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)
