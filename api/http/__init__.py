"""The resources of the HTTP API: one file each, found by discovery (see api/service/application.py)."""
