"""Moves `aws-node`, the VPC CNI's DaemonSet, to a role of its own, and back."""
