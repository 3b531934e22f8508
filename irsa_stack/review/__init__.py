"""Findings: whom a trust policy lets in, and what is wrong with that."""
