"""Bearer tokens: who acts, in which roles, until when. Only a hash of the secret is stored (schema kejin_work)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from unicodedata import is_normalized, normalize

from api.roles import ROLES, Scope, permissions_of
from ledger.sql import load
from ledger.store import Store

_QUERIES: Final = load("api", "queries.sql")
#: What every secret begins with, so that it is recognised where it should not be.
PREFIX: Final = "kejin_"


@dataclass(frozen=True, slots=True)
class Token:
    """One token as stored. `id` is public; `only` is what its roles are narrowed to, None where they are not; times are
    instants, None where it never expires or was not revoked."""

    id: str
    principal: str
    roles: tuple[str, ...]
    only: tuple[str, ...] | None
    secret_sha256: bytes
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def valid_at(self, now: datetime) -> bool:
        """Whether it may be used."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def scope(self) -> Scope:
        """What it may do."""
        return Scope(permissions_of(self.roles), None if self.only is None else frozenset(self.only))

    def document(self) -> dict[str, Any]:
        """The token as JSON, without its hash."""
        return {
            "id": self.id,
            "principal": self.principal,
            "roles": list(self.roles),
            "only": None if self.only is None else list(self.only),
            "created_at": self.created_at.isoformat(),
            "expires_at": None if self.expires_at is None else self.expires_at.isoformat(),
            "revoked_at": None if self.revoked_at is None else self.revoked_at.isoformat(),
        }


def hash_of(secret: str) -> bytes:
    """What is stored of a secret. It has 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode()).digest()


def all_tokens(store: Store) -> list[Token]:
    """Every token that was ever made."""
    rows = store.connection.execute(_QUERIES["tokens"]).fetchall()
    return [
        Token(
            row[0], row[1], tuple(row[2]), None if row[3] is None else tuple(row[3]), bytes(row[4]), *row[5:]
        )
        for row in rows
    ]


def looks_like_itself(name: str) -> bool:
    """Whether a name of somebody who acts shows all that it has: nobody else's may look the same."""
    return name == name.strip() and name.isprintable() and is_normalized("NFC", name)


def taken_for(store: Store, name: str) -> str | None:
    """Whom somebody of this name would be taken for: the first who ever had a token and whose name is another one only
    by the case, width or compatibility form of letters. People are counted by name."""
    folded = _folded(name)
    return next(
        (t.principal for t in all_tokens(store) if t.principal != name and _folded(t.principal) == folded),
        None,
    )


def _folded(name: str) -> str:
    return normalize("NFKC", name).casefold()


def create(
    store: Store, principal: str, roles: Iterable[str], only: Iterable[str], expires_at: datetime | None
) -> tuple[str, str]:
    """Make a token, as the owner, narrowed to `only` these words where there are some; its id, and the secret, which is
    shown once and never again."""
    wanted = sorted(set(roles))
    assert wanted and set(wanted) <= set(ROLES), wanted  # checked where people gave them
    secret, token_id = PREFIX + secrets.token_urlsafe(32), secrets.token_hex(6)
    store.connection.execute(
        _QUERIES["add_token"],
        {
            "id": token_id,
            "principal": principal,
            "roles": wanted,
            "narrowed_to": sorted(set(only)) or None,
            "secret_sha256": hash_of(secret),
            "expires_at": expires_at,
        },
    )
    return token_id, secret


def revoke(store: Store, name: str) -> list[str]:
    """Revoke a token by its id, or all of a principal's, as the owner; the ids of those revoked now."""
    return [row[0] for row in store.connection.execute(_QUERIES["revoke_tokens"], {"name": name}).fetchall()]
