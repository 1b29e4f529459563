"""Who may do what: roles, permissions, and which permission each command wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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


#: What a token may be narrowed to besides single commands.
READING: Final = frozenset({READ, VERIFY})


@dataclass(frozen=True, slots=True)
class Scope:
    """What a sender may do: the permissions of their roles, narrowed to `only` these commands and kinds of reading
    (None: not narrowed). A word that no role permits stays without effect."""

    permissions: frozenset[str]
    only: frozenset[str] | None = None

    def allows(self, permission: str, name: str) -> bool:
        """Whether they may do what wants a permission and is called so: a command by its name, reading by its kind."""
        if permission not in self.permissions:
            return False
        if self.only is None:
            return True
        if permission == BATCH:  # each of its lines is asked about besides
            return not self.only <= READING
        return (permission if permission in READING else name) in self.only


#: Where no tokens exist, whoever reaches the loopback address may do everything.
EVERYTHING: Final = Scope(frozenset().union(*ROLES.values()))
#: Whoever sends no valid token.
NOTHING: Final = Scope(frozenset())
