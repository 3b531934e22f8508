"""The IAM OIDC provider that makes IAM trust a cluster's service account tokens."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import jsii
from aws_cdk import Aws, CfnTag, Fn, Resource, Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

from irsa_stack.cdk.cluster_connection import ImportedCluster
from irsa_stack.cdk.handler_function import FunctionOptions
from irsa_stack.cdk.role_options import RoleDefaults
from irsa_stack.cdk.root_ca_thumbprint import RootCaThumbprint
from irsa_stack.faults import InvalidInput, no_list_faults, refuse
from irsa_stack.iam.arn import arn_faults
from irsa_stack.iam.issuer import issuer_from_url, issuer_url_faults
from irsa_stack.iam.quotas import tags_faults
from irsa_stack.iam.thumbprints import Thumbprints
from irsa_stack.iam.trust import STS_AUDIENCE

_CLIENT_IDS_AT_MOST = 100

_STOCK_PROVIDERS = ("OidcProviderNative", "OpenIdConnectProvider")
"""Ids under which a cluster of the CDK has its own provider once it was asked for."""


@jsii.implements(iam.IOpenIdConnectProvider)
class EksOidcProvider(Resource):
    """Define the IAM OIDC provider of a cluster.

    Synthesises one native `AWS::IAM::OIDCProvider`, which CloudFormation can import, and detect
    drift of; with computed thumbprints also the custom resource that computes them.

    Args:
        issuer_url: the cluster's OpenID Connect issuer URL; may be known only at deploy time.
        client_ids: audiences that IAM accepts in tokens. Default: `sts.amazonaws.com`.
        thumbprints: where the thumbprints come from. Default: computed at deploy time.
        refresh: any text; a change computes the thumbprints anew. Default: never.
        ca_bundle: PEM of a private CA, for the computation. Default: public CAs.
        allow_private: whether the issuer may live at a private address. Default: no.
        tags: tags of the provider. Default: none but those of the scope.
        functions: log retention and key of the computing function, of which a stack has one.
            Default: those of the stack's first provider.
        roles: boundary and path of that function's role. Default: likewise.

    Raises:
        InvalidInput: a property breaks a rule of IAM; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import EksOidcProvider
        >>> provider = EksOidcProvider(
        ...     cdk.Stack(),
        ...     "OidcProvider",
        ...     issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ... )
        >>> provider.issuer
        'oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE'

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/enable-iam-roles-for-service-accounts.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        issuer_url: str,
        client_ids: Sequence[str] = (STS_AUDIENCE,),
        thumbprints: Thumbprints | None = None,
        refresh: str | None = None,
        ca_bundle: str | None = None,
        allow_private: bool = False,
        tags: Mapping[str, str] | None = None,
        functions: FunctionOptions | None = None,
        roles: RoleDefaults | None = None,
    ) -> None:
        super().__init__(scope, id)
        refuse(
            [
                *issuer_url_faults(issuer_url),
                *_client_ids_faults(client_ids),
                *_thumbprints_faults(thumbprints),
                *tags_faults(len(tags or {}), of=id),
                *_twice_faults(issuer_url, self.stack),
            ]
        )
        Construct(self.stack, _marker_id(issuer_url))
        chosen = thumbprints or Thumbprints.computed()

        self.root_ca_thumbprint: RootCaThumbprint | None = None
        """The computation, if the thumbprints are computed."""
        values: list[str] | None = list(chosen.values) or None
        if chosen.source == "computed":
            self.root_ca_thumbprint = RootCaThumbprint(
                self,
                "Thumbprint",
                issuer_url=issuer_url,
                refresh=refresh,
                ca_bundle=ca_bundle,
                additional=chosen.values,
                allow_private=allow_private,
                functions=functions,
                roles=roles,
            )
            values = self.root_ca_thumbprint.thumbprints
        resource = iam.CfnOIDCProvider(
            self,
            "Resource",
            url=issuer_url,
            client_id_list=list(client_ids),
            thumbprint_list=values,
            tags=[CfnTag(key=key, value=value) for key, value in (tags or {}).items()] or None,
        )
        self._arn = resource.ref
        self._issuer = (
            issuer_from_arn(self._arn)
            if Token.is_unresolved(issuer_url)
            else issuer_from_url(issuer_url)
        )

    @property
    def issuer(self) -> str:
        """Host and path of the issuer, without `https://`: the prefix of condition keys."""
        return self._issuer

    @property
    def is_ours(self) -> bool:
        """Whether it is defined here, so that IAM itself gives its ARN."""
        return True

    @property
    def provider_arn(self) -> str:
        """ARN of the provider."""
        return self._arn

    @property
    def open_id_connect_provider_arn(self) -> str:
        """ARN of the provider, under the CDK's name."""
        return self._arn

    @property
    def open_id_connect_provider_issuer(self) -> str:
        """The issuer, under the CDK's name."""
        return self._issuer

    @property
    def oidc_provider_ref(self) -> Any:  # noqa: ANN401 (an experimental type of the CDK)
        """Reference to the provider, for the CDK's own use."""
        return {"oidcProviderArn": self._arn}

    @staticmethod
    def from_issuer_url(scope: Construct, id: str, issuer_url: str) -> "EksOidcProvider":
        """Import the provider that IAM already has for an issuer.

        Args:
            scope: where the import is placed.
            id: its id.
            issuer_url: `https://` URL of the issuer.

        Returns:
            The provider, with `issuer` and `provider_arn` as one defined here has them. Its account
            is that of the role that trusts it: IAM trusts no provider of another.

        Raises:
            InvalidInput: the URL is no issuer.
        """
        refuse(issuer_url_faults(issuer_url))
        issuer = (
            Fn.select(1, Fn.split("//", issuer_url))
            if Token.is_unresolved(issuer_url)
            else issuer_from_url(issuer_url)
        )
        arn = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:oidc-provider/{issuer}"
        return _ImportedProvider(scope, id, provider_arn=arn, issuer=issuer)

    @staticmethod
    def from_arn(scope: Construct, id: str, provider_arn: str) -> "EksOidcProvider":
        """Import the provider that IAM has under an ARN, as Terraform puts it out.

        Args:
            scope: where the import is placed.
            id: its id.
            provider_arn: ARN of the provider; may be known only at deploy time.

        Raises:
            InvalidInput: the ARN is none of an OIDC provider.
        """
        refuse(arn_faults(provider_arn, "oidc-provider", of="provider_arn"))
        issuer = issuer_from_arn(provider_arn)
        return _ImportedProvider(scope, id, provider_arn=provider_arn, issuer=issuer)

    @staticmethod
    def of(
        cluster: Any,  # noqa: ANN401 (three kinds of cluster)
        scope: Construct,
        *,
        functions: FunctionOptions | None = None,
        roles: RoleDefaults | None = None,
    ) -> iam.IOpenIdConnectProvider:
        """Return the provider of a cluster: the one that it has, or one made beside it.

        A cluster of `aws_eks` or `aws_eks_v2` gets one below itself at the first call. That of an
        `ImportedCluster` is imported, because the tool that made the cluster made it too.

        Args:
            cluster: an `aws_eks` or `aws_eks_v2` cluster, or an `ImportedCluster`.
            scope: where an import is placed, under the id `OidcProvider`.
            functions: see `EksOidcProvider`.
            roles: see `EksOidcProvider`.

        Raises:
            InvalidInput: *cluster* does not tell its issuer.
        """
        if isinstance(cluster, ImportedCluster):
            return EksOidcProvider.from_issuer_url(scope, "OidcProvider", cluster.issuer_url)
        node = getattr(cluster, "node", None)
        made = node and node.try_find_child("OidcProvider")
        if isinstance(made, EksOidcProvider):
            return made
        issuer_url = getattr(cluster, "cluster_open_id_connect_issuer_url", None)
        stock = node and any(map(node.try_find_child, _STOCK_PROVIDERS))
        if issuer_url is not None and not stock:
            return EksOidcProvider(
                cluster, "OidcProvider", issuer_url=issuer_url, functions=functions, roles=roles
            )
        try:
            return cast("iam.IOpenIdConnectProvider", cluster.open_id_connect_provider)
        except (AttributeError, RuntimeError):
            raise InvalidInput(
                [
                    "oidc_provider must be given with a cluster that does not tell its issuer, got"
                    f" {type(cluster).__name__} and none; pass EksOidcProvider.from_issuer_url(...)"
                ]
            ) from None


class _ImportedProvider(EksOidcProvider):
    """A provider that is there already: nothing is synthesised."""

    def __init__(self, scope: Construct, id: str, *, provider_arn: str, issuer: str) -> None:
        Resource.__init__(self, scope, id)
        self.root_ca_thumbprint = None
        self._arn, self._issuer = provider_arn, issuer

    @property
    def is_ours(self) -> bool:
        """Whether it is defined here: no."""
        return False


def issuer_from_arn(provider_arn: str) -> str:
    """Return the issuer that the ARN of a provider names."""
    if Token.is_unresolved(provider_arn) and ":oidc-provider/" not in provider_arn:
        return Fn.select(1, Fn.split(":oidc-provider/", provider_arn))
    return provider_arn.partition(":oidc-provider/")[2]


def _thumbprints_faults(thumbprints: object) -> Iterator[str]:
    if thumbprints is not None and not isinstance(thumbprints, Thumbprints):
        yield (
            f"thumbprints must be Thumbprints, got {thumbprints!r}; write Thumbprints.computed(),"
            " .exact([...]) or .chosen_by_iam()"
        )


def _twice_faults(issuer_url: str, stack: Stack) -> Iterator[str]:
    """Refuse what IAM would at deploy: an account has one provider an issuer."""
    if stack.node.try_find_child(_marker_id(issuer_url)) is not None:
        yield (
            f"issuer_url must have one EksOidcProvider in a stack, got {issuer_url!r} twice; pass"
            " the first one on"
        )


def _marker_id(issuer_url: str) -> str:
    """Return the id of the construct that says in a stack that an issuer has a provider."""
    return f"OidcProviderOf{hashlib.sha256(str(issuer_url).encode()).hexdigest()[:8]}"


def _client_ids_faults(client_ids: Sequence[str]) -> list[str]:
    faults = no_list_faults(client_ids, of="client_ids")
    if faults:
        return faults
    if not 1 <= len(client_ids) <= _CLIENT_IDS_AT_MOST:
        faults.append(
            f"client_ids must hold 1 to {_CLIENT_IDS_AT_MOST} audiences, got {len(client_ids)};"
            f" the usual one is {STS_AUDIENCE}"
        )
    faults.extend(
        f"client_ids must be 1 to 255 characters each, got {client_id!r}; correct it"
        for client_id in client_ids
        if not 1 <= len(client_id) <= 255  # noqa: PLR2004 (IAM's limit)
    )
    return faults
