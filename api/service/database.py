"""The database of a server process: found by address or data folder, and found again after it went away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ledger.connection import StoreError
from ledger.server import Server, share
from ledger.store import Store

Opening = Callable[[str], Store]


class Database:
    """Opens connections to one ledger. Safe for many threads.

    With a data folder the embedded server is shared, and (`restarts`) started again where it was killed.
    """

    def __init__(self, address: str | None, folder: Path | None, *, restarts: bool = True) -> None:
        """Of an address, else of a data folder. Raises ServerError."""
        self._address = address
        self.folder = folder
        self._restarts = restarts
        self._guard = threading.Lock()
        self._server: Server | None = None if folder is None else share(folder)

    def close(self) -> None:
        """Give the share in the embedded server up. Raises ServerError."""
        if self._server is not None:
            self._server.leave()

    @property
    def address(self) -> str:
        """The libpq address of the owner, as the server stands now."""
        if self._server is not None:
            return self._server.address()
        assert self._address is not None  # one of the two was given
        return self._address

    def writer(self) -> Store:
        """A connection that records. Raises StoreError, ServerError."""
        return self._opened(lambda address: Store.open(address, by_index=True))

    def reader(self, seconds_max: float, *, by_index: bool = False) -> Store:
        """A connection that can change nothing; its statements end in time. Raises StoreError, ServerError."""
        return self._opened(lambda address: Store.open_for_reading(address, seconds_max, by_index=by_index))

    def checker(self, seconds_max: float) -> Store:
        """A connection as `kejin verify` has it, whose statements end in time. Raises StoreError, ServerError."""

        def opened(address: str) -> Store:
            store = Store.open(address)
            store.connection.execute(
                "select set_config('statement_timeout', %s, false)", (f"{seconds_max:.0f}s",)
            )
            return store

        return self._opened(opened)

    def listener(self) -> Store:
        """A connection that waits for what others tell. Raises StoreError, ServerError."""
        return self._opened(Store.open)

    def _opened(self, open_store: Opening) -> Store:
        try:
            return open_store(self.address)
        except StoreError:
            if self.folder is None or not self._restarts:
                raise
        with self._guard:
            self._server = share(self.folder)  # starts it where it was killed
        return open_store(self.address)
