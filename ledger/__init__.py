"""The ledger: what happened and what is allowed. Imports nothing of projections/ or api/."""

from ledger import compiled

#: Whether the pure core runs as machine code.
IS_COMPILED = compiled.use()
