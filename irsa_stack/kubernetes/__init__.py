"""Service accounts as Kubernetes has them: identities, manifests."""
