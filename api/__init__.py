"""How people and programs talk to the ledger. Imports ledger/ and projections/."""
