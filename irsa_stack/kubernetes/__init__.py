"""Service accounts as Kubernetes has them: identities, manifests, and who binds which."""
