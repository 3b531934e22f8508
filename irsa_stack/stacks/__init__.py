"""The compositions that `app.py` deploys."""

from irsa_stack.stacks.cluster import EksClusterStack
from irsa_stack.stacks.service_accounts import ServiceAccountsStack

__all__ = ["EksClusterStack", "ServiceAccountsStack"]
