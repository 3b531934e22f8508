"""The API server of these tests."""

from tests.support.functions import server

__all__ = ["server"]
