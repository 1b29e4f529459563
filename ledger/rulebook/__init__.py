"""Rulebooks: clauses as dated data, the shapes that a rule can have, and how a call narrows a measure."""
