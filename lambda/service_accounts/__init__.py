"""Binds the service accounts of one cluster to their roles, without owning what is not ours."""
