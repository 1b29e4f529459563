"""The pages for people: one file each, found by discovery (see api/service/application.py and pages.py)."""
