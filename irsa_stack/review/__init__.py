"""The review of trust policies, without the CDK."""

from irsa_stack.review.trust_review import RULES

__all__ = ["RULES"]
