"""The policy instruments: one file each, found by discovery (see ledger/catalogue.py)."""
