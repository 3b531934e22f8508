"""The bearer token by which an EKS cluster knows an IAM identity."""

from __future__ import annotations

import base64
import os

import botocore.session
from botocore.signers import RequestSigner

# EKS takes a token for 15 minutes, whatever its own expiry says.
# https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/master/pkg/token/token.go
_SIGNATURE_SECONDS = 60


def eks_token(cluster_name: str, region: str | None = None) -> str:
    """A token for the identity of this process: a presigned `sts:GetCallerIdentity`.

    Args:
        cluster_name: The cluster that may take the token; any other refuses it.
        region: The region whose STS is asked. The default is `AWS_REGION`.
    """
    region = region or os.environ["AWS_REGION"]
    session = botocore.session.get_session()
    # Private clusters reach STS through its regional endpoint only.
    session.set_config_variable("sts_regional_endpoints", "regional")
    sts = session.create_client("sts", region_name=region)
    signer = RequestSigner(
        sts.meta.service_model.service_id,
        region,
        "sts",
        "v4",
        session.get_credentials(),
        session.get_component("event_emitter"),
    )
    url = signer.generate_presigned_url(
        {
            "method": "GET",
            "url": f"{sts.meta.endpoint_url}/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": cluster_name},
            "context": {},
        },
        region_name=region,
        expires_in=_SIGNATURE_SECONDS,
        operation_name="",
    )
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
