"""Who may do what: roles, permissions, and which permission each command wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

READ: Final = "read"
VERIFY: Final = "verify"
#: To send a batch at all; each of its lines wants its own permission besides.
BATCH: Final = "batch"

#: Role → what it may do; commands are permissions of their own kinds. Auditors change nothing.
ROLES: Final[Mapping[str, frozenset[str]]] = {
    "auditor": frozenset({READ, VERIFY}),
    "finance": frozenset({READ, BATCH, "publicise", "pay"}),
    "compliance": frozenset({READ, VERIFY, BATCH, "hold"}),
    "operator": frozenset({READ, BATCH, "record"}),
    "admin": frozenset({READ, BATCH, "round"}),
}

#: Commands that are not simply facts or claims, by the permission that they want.
_COMMANDS: Final[Mapping[str, str]] = {
    "open-round": "round",
    "adjust-budget": "round",
    "close-round": "round",
    "return-to-treasury": "round",
    "publicise": "publicise",
    "pay": "pay",
    "return-payment": "pay",
    "recover": "pay",
    "hold": "hold",
    "release": "hold",
    "void": "hold",
}


def permission_of(command: str) -> str:
    """The permission that a command wants. Whatever is not listed records a fact or a claim: so do new instruments."""
    return _COMMANDS.get(command, "record")


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """All that some roles may do together. A role of a newer version that is not known here may do nothing."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


#: Where no tokens exist, whoever reaches the loopback address may do everything.
EVERYTHING: Final = frozenset().union(*ROLES.values())
