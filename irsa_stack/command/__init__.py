"""`irsa`: who can do what, why, and what a change would change. No CDK, no Node, no AWS."""
