"""An emulated AWS account that serves on loopback until the block ends."""

import contextlib
import dataclasses
import functools
import json
import os
import secrets
import ssl
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from rehearsal.certificates import Chain, server_chain
from rehearsal.eks_contents import install_aws_node
from rehearsal.emulator.settings import AttachedControlPlane, Settings
from rehearsal.emulator.slowness import PATH as SLOWNESS_PATH
from rehearsal.emulator.slowness import Slowness
from rehearsal.kubernetes import Cluster, TokenReview, control_plane, create_signing_key
from rehearsal.loopback import free_address
from rehearsal.pod_identity import pod_identity_webhook
from rehearsal.processes import service

REPOSITORY = Path(__file__).resolve().parents[1]
ACCOUNT_ID = "111122223333"
REGION = "us-east-1"
PORT = 4566
# AWS's host names come without a port. Who may not have 443 can deploy roles, but no function
# reaches AWS by name.
HTTPS_PORT = 443 if os.geteuid() == 0 else PORT

_START_SECONDS = 30.0
_REGIONAL = ("cloudformation", "ec2", "eks", "lambda", "oidc.eks", "s3", "ssm", "states", "sts")
HOSTS = [
    *(f"{name}.{REGION}.amazonaws.com" for name in _REGIONAL),
    "iam.amazonaws.com",
    "sts.amazonaws.com",
]


@dataclass(frozen=True)
class Credentials:
    """Keys of a principal; the default is the account's administrator."""

    access_key: str = "test"
    secret_key: str = "test"
    session_token: str | None = None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Credentials":
        """Return those that an AssumeRole action answered."""
        keys = answer["Credentials"]
        return cls(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


ADMINISTRATOR = Credentials()


@dataclass
class Account:
    """A running account.

    Args:
        folder: files and logs of the run.
        address: loopback address that everything of it listens on.
        chain: certificate of every host of AWS.
        issuer_id: end of the first cluster's issuer.
        kubernetes: the control plane behind the first cluster, if there is one.
        start_seconds: time until the emulator answered.
    """

    folder: Path
    address: str
    chain: Chain
    issuer_id: str
    kubernetes: Cluster | None
    start_seconds: float = field(default=0.0)

    @property
    def endpoint(self) -> str:
        """URL of every service."""
        return f"https://{self.address}:{PORT}"

    @property
    def issuer_url(self) -> str:
        """OIDC issuer of the first cluster."""
        return issuer_url(self.issuer_id)

    @property
    def signing_key(self) -> Path:
        """PEM of the key that signs the first cluster's tokens."""
        return _signing_key(self.folder, self.issuer_id)

    def exports(self) -> dict[str, str]:
        """Return the variables with which the CLI, an SDK or the CDK talks to the account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ADMINISTRATOR.access_key,
            "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CA_BUNDLE": str(self.chain.root),
            "NODE_EXTRA_CA_CERTS": str(self.chain.root),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def client(self, name: str, credentials: Credentials = ADMINISTRATOR) -> Any:
        """Return a boto3 client of a service."""
        return boto3.client(
            name,
            endpoint_url=self.endpoint,
            region_name=REGION,
            verify=str(self.chain.root),
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.session_token,
        )

    def slow(self, **seconds: Any) -> None:
        """Make AWS slow, as the fields of `Slowness` say; the others are as at first."""
        context = ssl.create_default_context(cafile=str(self.chain.root))
        body = json.dumps(dataclasses.asdict(Slowness(**seconds))).encode()
        request = urllib.request.Request(  # noqa: S310 (https)
            f"{self.endpoint}{SLOWNESS_PATH}", body, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10, context=context):  # noqa: S310 (https)
            pass

    def assume_role(self, role_arn: str, token: str) -> dict[str, Any]:
        """Exchange a web identity token for a session of a role, as an SDK in a pod does."""
        client = boto3.client(
            "sts",
            endpoint_url=self.endpoint,
            region_name=REGION,
            verify=str(self.chain.root),
            config=Config(signature_version=UNSIGNED),
        )
        answer: dict[str, Any] = client.assume_role_with_web_identity(
            RoleArn=role_arn, RoleSessionName="rehearsal", WebIdentityToken=token
        )
        return answer


@contextlib.contextmanager
def account(folder: Path, *, kubernetes: str | None) -> Iterator[Account]:
    """Run an account until the block ends.

    Args:
        folder: where its state and logs go; must be new.
        kubernetes: minor version of the control plane behind its first cluster, or `None` for a
            cluster without one.

    Raises:
        RuntimeError: it does not start; with its last words.
    """
    folder.mkdir(parents=True)
    address = free_address(*{HTTPS_PORT, PORT})
    issuer_id = secrets.token_hex(16).upper()
    chain = server_chain(folder / "certificates", (address, "127.0.0.1", "localhost", *HOSTS))
    signing_key = create_signing_key(_signing_key(folder, issuer_id))
    with contextlib.ExitStack() as running:
        cluster = attached = None
        if kubernetes is not None:
            secret = secrets.token_urlsafe(32)
            cluster = running.enter_context(
                control_plane(
                    folder / "kubernetes",
                    minor=kubernetes,
                    address=address,
                    issuer=issuer_url(issuer_id),
                    signing_key=signing_key,
                    token_review=TokenReview(
                        url=f"https://{address}:{PORT}/_rehearsal/token-review/{secret}",
                        certificate_authority=chain.root,
                    ),
                )
            )
            running.enter_context(pod_identity_webhook(cluster, region=REGION))
            install_aws_node(cluster)
            attached = AttachedControlPlane(
                endpoint=cluster.endpoint,
                certificate_authority=str(cluster.authority.certificate),
                admin_kubeconfig=str(cluster.admin_kubeconfig),
                kubectl=str(cluster.programs["kubectl"]),
                review_secret=secret,
            )
        started = time.monotonic()
        settings = Settings(
            folder=str(folder),
            account=ACCOUNT_ID,
            address=address,
            https_port=HTTPS_PORT,
            hosts=HOSTS,
            issuer_id=issuer_id,
            control_plane=attached,
            keep=[str(chain.root.parent)],
        )
        made = Account(folder, address, chain, issuer_id, cluster)
        emulator = running.enter_context(_emulator(made, settings))
        emulator.wait_until(functools.partial(_answers, made), seconds=_START_SECONDS)
        made.start_seconds = time.monotonic() - started
        yield made


def issuer_url(issuer_id: str) -> str:
    """Return the issuer of AWS's shape."""
    return f"https://oidc.eks.{REGION}.amazonaws.com/id/{issuer_id}"


def _emulator(made: Account, settings: Settings) -> Any:
    path = made.folder / "settings.json"
    settings.write(path)
    (made.folder / "tmp").mkdir()
    return service(
        "emulator",
        [sys.executable, "-m", "rehearsal.emulator", str(path)],
        folder=made.folder,
        environment=_environment(made),
    )


def _environment(made: Account) -> dict[str, str]:
    """All that the emulator gets; functions inherit it, so nothing of the user's is in it."""
    folder, root = made.folder, str(_trust_store(made))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder / "tmp"),
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(made.chain.full),
        "MINISTACK_SSL_KEY": str(made.chain.key),
        # Without it, it listens on every address of the machine.
        "BIND_HOST": made.address,
        "GATEWAY_PORT": str(PORT),
        "MINISTACK_HOST": made.address,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ADMINISTRATOR.access_key,
        "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR.secret_key,
        "AWS_ENDPOINT_URL": made.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "SSL_CERT_FILE": root,
        "AWS_CA_BUNDLE": root,
        "REQUESTS_CA_BUNDLE": root,
        "NODE_EXTRA_CA_CERTS": str(made.chain.root),
    }


def _trust_store(made: Account) -> Path:
    """Write what functions trust: the public roots, as Lambda's store has them, and the run's."""
    path = made.folder / "certificates" / "trust-store.pem"
    public = ssl.get_default_verify_paths().cafile
    path.write_bytes((Path(public).read_bytes() if public else b"") + made.chain.root.read_bytes())
    return path


def _signing_key(folder: Path, issuer_id: str) -> Path:
    return folder / "signing-keys" / f"{issuer_id}.pem"


def _answers(made: Account) -> bool:
    context = ssl.create_default_context(cafile=str(made.chain.root))
    health = f"{made.endpoint}/_ministack/health"
    try:
        with urllib.request.urlopen(health, timeout=2, context=context):  # noqa: S310 (https)
            return True
    except OSError:
        return False
