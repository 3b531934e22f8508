"""Environment files as typed settings, one module a part."""
