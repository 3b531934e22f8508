"""One cluster's Kubernetes API, as CloudFormation functions use it.

`kubectl` of the layer carries the connection (`kubectl_proxy`), Python speaks the API over it
(`connection`). The rest is pure: whose key of an object is (`shared_keys`), how far a workload's
rollout is (`rollout`).
"""
