"""What can be read: templates, plans, manifests and policies, recognised by content."""
