"""The ledger: what happened and what is allowed. Imports nothing of projections/ or api/."""
