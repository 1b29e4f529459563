"""Listeners go on, whatever happens to what they tell."""

from __future__ import annotations

import queue

import psycopg

from api.service.listening import Listener
from ledger.store import Store
from tests.evidence import append


def test_a_listener_survives_whatever_goes_wrong(database: str) -> None:
    """What it tells may fail in any way, and its connection may be cut: it says so, opens another, and hears again."""
    heard: queue.Queue[frozenset[str]] = queue.Queue()
    failures: list[Exception] = [RuntimeError("unforeseen"), KeyError("unforeseen")]

    def tell(store: Store, channels: frozenset[str]) -> None:
        if failures:
            raise failures.pop()
        heard.put(channels)

    with Store.open(database) as store:
        listener = Listener("test", lambda: Store.open(database), tell, lambda store, at_rest: None)
        listener.start()
        try:
            assert heard.get(timeout=60) == Listener.CHANNELS
            assert listener.silent_seconds < 60
            with psycopg.connect(database, autocommit=True) as owner:
                owner.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where query like 'listen%' and datname = current_database()"
                )
            while heard.get(timeout=60) != Listener.CHANNELS:
                pass
            append(store, 1)
            while "kejin_appended" not in heard.get(timeout=60):
                pass
        finally:
            listener.stop()
