"""What the ledger knows of a round, a party, a loan, a product, a claim: commands, events and memory together."""
