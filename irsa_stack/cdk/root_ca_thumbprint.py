"""The thumbprint of an OIDC issuer's root CA, computed at deploy time."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import cast

from aws_cdk import CustomResource, Duration, Fn, Stack
from constructs import Construct

from irsa_stack.cdk.handler_function import FunctionOptions, HandlerFunction
from irsa_stack.cdk.role_options import RoleDefaults
from irsa_stack.faults import refuse
from irsa_stack.iam.issuer import issuer_url_faults
from irsa_stack.iam.quotas import THUMBPRINTS
from irsa_stack.iam.thumbprints import thumbprints_faults

_FUNCTION_ID = "RootCaThumbprintFunction"
_FUNCTION_SECONDS = 60
_SERVICE_TIMEOUT = Duration.seconds(180)


class RootCaThumbprint(Construct):
    """Define the computation of an issuer's root-CA thumbprint.

    Synthesises one custom resource, and one function a stack however many issuers: it has no IAM
    permission but its own logs, verifies TLS, and takes the top certificate that the server
    presents, as IAM asks.

    Args:
        issuer_url: `https://` URL of the OIDC issuer; may be known only at deploy time.
        refresh: any text; a change computes anew at the next deploy. Default: only when another
            property changes.
        ca_bundle: PEM certificates that the issuer's chain must end in, for private CAs and
            isolated partitions. Default: the Lambda runtime's trust store.
        additional: thumbprints of 40 hexadecimal characters that stay valid beside the computed
            ones during a rotation. At most 4. Default: none.
        allow_private: whether the issuer may live at an address that is not globally routable.
            Default: no.
        functions: log retention and key of the stack's one function. Default: those of the first
            computation in the stack.
        roles: boundary and path of that function's role. Default: likewise.

    Raises:
        InvalidInput: a property breaks a rule of IAM; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import RootCaThumbprint
        >>> stack = cdk.Stack()
        >>> thumbprint = RootCaThumbprint(
        ...     stack, "Thumbprint", issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
        ... )
        >>> provider = cdk.aws_iam.CfnOIDCProvider(
        ...     stack, "Provider", thumbprint_list=thumbprint.thumbprints
        ... )

    See:
        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        issuer_url: str,
        refresh: str | None = None,
        ca_bundle: str | None = None,
        additional: Sequence[str] = (),
        allow_private: bool = False,
        functions: FunctionOptions | None = None,
        roles: RoleDefaults | None = None,
    ) -> None:
        super().__init__(scope, id)
        faults = [
            *issuer_url_faults(issuer_url),
            *thumbprints_faults(additional, of="additional", at_most=THUMBPRINTS - 1),
        ]
        if ca_bundle is not None and "-----BEGIN CERTIFICATE-----" not in ca_bundle:
            faults.append(
                f"ca_bundle must be PEM text, got {ca_bundle[:40]!r}; pass the file's content"
            )
        refuse(faults)

        properties: dict[str, object] = {"IssuerUrl": issuer_url}
        if refresh is not None:
            properties["Refresh"] = refresh
        if ca_bundle is not None:
            properties["CaBundle"] = ca_bundle
        if additional:
            properties["Additional"] = list(additional)
        if allow_private:
            properties["AllowPrivate"] = "true"

        function = _function(self, functions, roles)
        self._resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::RootCaThumbprint",
            service_token=function.service_token,
            service_timeout=_SERVICE_TIMEOUT,
            properties=properties,
        )
        self._resource.node.add_dependency(function.ready)

    @property
    def thumbprints(self) -> list[str]:
        """SHA-1 of the certificates, 40 hexadecimal characters each (a list known at deploy)."""
        return Fn.split(",", self._resource.get_att_string("Thumbprints"))

    @property
    def certificate_subject(self) -> str:
        """Subject of the top certificate that the issuer presents (known at deploy)."""
        return self._resource.get_att_string("CertificateSubject")

    @property
    def not_after(self) -> str:
        """When that certificate expires, ISO 8601 (known at deploy)."""
        return self._resource.get_att_string("NotAfter")

    @property
    def warnings(self) -> str:
        """What the function found odd in the chain; empty if nothing (known at deploy)."""
        return self._resource.get_att_string("Warnings")


def _function(
    scope: Construct, functions: FunctionOptions | None, roles: RoleDefaults | None
) -> HandlerFunction:
    """Return the stack's one function, defining it at the first call."""
    stack = Stack.of(scope)
    defined = stack.node.try_find_child(_FUNCTION_ID)
    if defined is None:
        return HandlerFunction(
            stack,
            _FUNCTION_ID,
            handler="root_ca_thumbprint.on_event.handle",
            description="Computes the root-CA thumbprint of an OIDC issuer",
            timeout=_FUNCTION_SECONDS,
            service_timeout=_SERVICE_TIMEOUT,
            functions=functions,
            roles=roles,
        )
    function = cast("HandlerFunction", defined)
    refuse(
        [
            *_differing_faults("functions", functions, function.functions),
            *_differing_faults("roles", roles, function.roles),
        ]
    )
    return function


def _differing_faults(
    of: str, given: FunctionOptions | RoleDefaults | None, first: FunctionOptions | RoleDefaults
) -> Iterator[str]:
    if given is None:
        return
    differing = [
        field.name
        for field in fields(given)
        if not _same(getattr(given, field.name), getattr(first, field.name))
    ]
    if differing:
        yield (
            f"{of} must be those of the stack's first EksOidcProvider or RootCaThumbprint, got"
            f" another {' and '.join(differing)}; one function computes for all, so give each the"
            f" same {of}"
        )


def _same(one: object, other: object) -> bool:
    """Whether two values are one, also if they are imports of one key or boundary."""
    if one == other:
        return True
    for arn in ("managed_policy_arn", "key_arn"):
        if hasattr(one, arn) and hasattr(other, arn):
            return bool(getattr(one, arn) == getattr(other, arn))
    return False
