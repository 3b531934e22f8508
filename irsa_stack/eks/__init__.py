"""EKS clusters: names, versions and attributes."""
