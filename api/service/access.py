"""Access: who a request's sender is and what they may do. Tokens are kept in memory and read again when they change."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from api.roles import EVERYTHING, Scope
from api.service.problems import HttpProblem
from api.tokens import PREFIX, Token, all_tokens, hash_of
from ledger.store import Store

#: A token that is not known may be new: the tokens are looked at again, but not more often than this.
_LOOK_AGAIN_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a request: the principal that is bound into events, the token's id, what they may do. The one place
    where permissions are checked."""

    principal: str | None  # None: the server's own
    token: str | None
    scope: Scope

    def check(self, permission: str, name: str) -> None:
        """Whether they may do what wants a permission and is called so. Raises HttpProblem `forbidden`."""
        if self.scope.allows(permission, name):
            return
        if permission not in self.scope.permissions:
            raise HttpProblem(
                "forbidden",
                f"this token does not have the permission {permission!r}",
                f"该令牌没有 {permission!r} 权限",
            )
        listed = ", ".join(sorted(self.scope.only or ()))
        raise HttpProblem("forbidden", f"this token is narrowed to {listed}", f"该令牌仅限于 {listed}")


_ANYBODY: Final = Sender(None, None, EVERYTHING)


class Access:
    """The tokens as this process knows them. Read by the event loop, written by the listener's thread."""

    def __init__(self) -> None:
        self._by_hash: Mapping[bytes, Token] = {}
        self._by_id: Mapping[str, Token] = {}
        self._looked_at = 0.0
        self._guard = threading.Lock()
        self.exist = False

    def read(self, store: Store) -> None:
        """Take in the tokens as they are now."""
        with self._guard:
            tokens = all_tokens(store)
            self._by_hash = {token.secret_sha256: token for token in tokens}
            self._by_id = {token.id: token for token in tokens}
            # Once one was made, revoking or expiring it must not open the service to everybody.
            self.exist = bool(tokens)
            self._looked_at = time.monotonic()

    @property
    def looks_again_in_seconds(self) -> float:
        """How long from now the tokens may be looked at again for one that is not known."""
        return max(0.0, self._looked_at + _LOOK_AGAIN_SECONDS - time.monotonic())

    def may_be_new(self, authorization: bytes | None) -> bool:
        """Whether this may be a token that was made a moment ago: it has the form of one, and is not known."""
        secret = _secret(authorization)
        return secret.startswith(PREFIX) and hash_of(secret) not in self._by_hash

    def sender(self, authorization: bytes | None) -> Sender | None:
        """Who sends a request with this Authorization header; None for an unknown or unusable token.

        Without tokens everybody may do everything: the service listens on loopback only then.
        """
        if not self.exist:
            return _ANYBODY
        secret = _secret(authorization)
        if not secret:
            return None
        token = self._by_hash.get(hash_of(secret))
        if token is None or not token.valid_at(datetime.now(UTC)):
            return None
        return Sender(token.principal, token.id, token.scope)

    def may_go_on(self, sender: Sender) -> bool:
        """Whether what a sender began may go on: their token still holds, or still nobody needs one."""
        if sender.token is None:
            return not self.exist
        token = self._by_id.get(sender.token)
        return token is not None and token.valid_at(datetime.now(UTC))


def _secret(authorization: bytes | None) -> str:
    """The token of an Authorization header; empty where it has none."""
    scheme, _, secret = (authorization or b"").partition(b" ")
    return secret.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def unauthorized(*, is_told: bool) -> HttpProblem:
    """No token, or (`is_told`) one that is not valid (RFC 6750 §3)."""
    return HttpProblem(
        "unauthorized",
        "send a valid token: Authorization: Bearer …; kejin token makes them",
        "请提供有效令牌：Authorization: Bearer …；由 kejin token 生成",
        {"WWW-Authenticate": 'Bearer realm="kejin"' + (', error="invalid_token"' if is_told else "")},
    )
