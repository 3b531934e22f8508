"""IAM: ARNs, issuers, trust policies, quotas and thumbprints."""
