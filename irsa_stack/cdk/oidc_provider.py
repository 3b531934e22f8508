"""The IAM OIDC provider that makes IAM trust a cluster's service account tokens."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import Aws, CfnTag, Fn, Resource, Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

from irsa_stack.cdk.handler_function import FunctionSettings
from irsa_stack.cdk.root_ca_thumbprint import RootCaThumbprint
from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.faults import list_faults, refuse
from irsa_stack.iam.issuer import issuer_from_url, issuer_url_faults
from irsa_stack.iam.quotas import tags_faults
from irsa_stack.iam.thumbprints import Thumbprints
from irsa_stack.iam.trust import STS_AUDIENCE

_CLIENT_IDS_AT_MOST = 100


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
        settings: log retention, key, boundary and path of the computing function, of which a stack
            has one. Default: those of the stack's first provider.

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
        settings: FunctionSettings | None = None,
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
                keep_previous=chosen.values,
                allow_private=allow_private,
                settings=settings,
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
            if is_deploy_time(issuer_url)
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
        return _ImportedProvider(scope, id, issuer_url)


class _ImportedProvider(EksOidcProvider):
    """A provider that is there already: nothing is synthesised."""

    def __init__(self, scope: Construct, id: str, issuer_url: str) -> None:
        Resource.__init__(self, scope, id)
        refuse(issuer_url_faults(issuer_url))
        self.root_ca_thumbprint = None
        self._issuer = (
            Fn.select(1, Fn.split("//", issuer_url))
            if is_deploy_time(issuer_url)
            else issuer_from_url(issuer_url)
        )
        self._arn = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:oidc-provider/{self._issuer}"

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
            " .exactly([...]) or .chosen_by_iam()"
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
    faults = list_faults(client_ids, of="client_ids")
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
