"""IAM: ARNs, issuers, trust policies, conditions, statements, quotas and thumbprints."""
