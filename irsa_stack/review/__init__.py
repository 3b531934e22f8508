"""The review: whom a role lets in, and what is wrong with that. Without the CDK."""

from irsa_stack.review.rules import RULES

__all__ = ["RULES"]
