"""Who may do what: every route × role, tokens, four eyes, other sites, addresses beyond loopback."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.roles import ROLES
from api.service.application import discover
from api.service.examples import LINES
from api.service.limits import Limits
from api.service.operations import Operation
from api.tokens import create
from ledger.catalogue import catalogue
from ledger.store import Store
from tests.cli.program import OPENING, Line, Program, claim, ndjson, pay, publicise, repay
from tests.faults.test_kills import until
from tests.http.service import Service, serving
from tests.http.test_commands import problem
from tests.support import fresh_database

KNOWN = catalogue()
OPERATIONS = discover(KNOWN, Limits())
#: What anybody may ask.
OPEN = ("health", "ready", "openapi")
#: What each role may do beside reading, as the issue says it.
MAY = {
    "auditor": set(),
    "finance": {"publicise", "pay", "return-payment", "recover"},
    "compliance": {"hold", "release", "void"},
    "admin": {"open-round", "adjust-budget", "close-round", "return-to-treasury"},
}
MAY["operator"] = KNOWN.specs.keys() - set().union(*MAY.values())


#: Tokens that are narrowed below their role: the role, and what is left of it.
NARROWED = {
    "bank-system": ("operator", ("draw-loan", "repay-loan")),
    "dashboard": ("compliance", ("read",)),
    "verifier": ("auditor", ("verify",)),
    "payer": ("finance", ("read", "pay")),
}


def token(kejin: Program, principal: str, *roles: str, **more: object) -> str:
    """A new token's secret."""
    options = [word for role in roles for word in ("--role", role)]
    for name, value in more.items():
        values = value if isinstance(value, tuple) else (value,)
        options += [str(word) for one in values for word in (f"--{name}", one)]
    secret: str = kejin.ask("token", "create", principal, *options)["secret"]
    return secret


@pytest.fixture(scope="module")
def guarded(
    embedded_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, dict[str, str]]]:
    """A server on the examples' ledger with a token per role."""
    with fresh_database(embedded_server) as address:
        kejin = Program(address)
        kejin.run(*map(dict, LINES))
        secrets = {role: token(kejin, f"{role}-person", role) for role in ROLES}
        for name, (role, only) in NARROWED.items():
            secrets[name] = token(kejin, f"{name}-person", role, only=only)
        with serving(kejin, tmp_path_factory.mktemp("guarded") / "server.log") as running:
            yield running, secrets


def allowed(operation: Operation, role: str) -> bool:
    """Whether a role may use an operation, as the issue says it; a narrowed one only what it is narrowed to."""
    if role in NARROWED:
        role, only = NARROWED[role]
        if operation.path.startswith("/v1/commands/"):
            return operation.name in only
        if operation.name == "run":
            return bool(KNOWN.specs.keys() & only)
        kind = "verify" if operation.name == "verification" else "read"
        return operation.name in OPEN or kind in only
    if operation.path.startswith("/v1/commands/"):
        return operation.name in MAY[role]
    if operation.name == "run":
        return role != "auditor"
    if operation.name == "verification":
        return role in ("auditor", "compliance")
    return True


@pytest.mark.parametrize("role", [*ROLES, *NARROWED, None])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_route_for_every_role(
    guarded: tuple[Service, dict[str, str]], operation: Operation, role: str | None
) -> None:
    """A role gets what it may use, 403 for the rest; without a token 401, but for health, readiness, document."""
    service, secrets = guarded
    client = service.client()
    client.token = secrets[role] if role else None
    path = operation.path.replace("{account:path}", "public/treasury").replace("{position}", "7")
    path = path.replace("{round}", "R1").replace("{uscc}", "91350100M000100Y43").replace("{size}", "3")
    example = operation.body.examples["example"] if operation.body else None
    body = None if example is None else json.dumps(example).encode()
    query = next((dict(tried.query) for tried in operation.tries if tried.status == 200), {})
    if any(parameter.name == "dry_run" for parameter in operation.parameters):
        query["dry_run"] = "true"
    answer = client.ask(operation.method, path, body, **query)
    client.close()
    if role is None and operation.name not in OPEN:
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    elif role is not None and not allowed(operation, role):
        problem(answer, 403, "forbidden")
    else:
        assert answer.status in (200, 404, 409), answer
        assert operation.name != "stream" or (answer.status, answer.body) == (200, b": kejin\n")


@pytest.mark.parametrize("role", [*ROLES, *NARROWED])
def test_a_batch_wants_the_permission_of_each_line(
    guarded: tuple[Service, dict[str, str]], role: str
) -> None:
    """A line that its sender may not give is refused as forbidden, and its neighbours are decided."""
    service, secrets = guarded
    client = service.client(secrets[role])
    samples = {
        o.name: o.body.examples["example"]
        for o in OPERATIONS
        if o.path.startswith("/v1/commands/") and o.body
    }
    answer = client.run(*({"command": name, **sample} for name, sample in samples.items()), dry_run="true")
    if role in ("auditor", "dashboard", "verifier"):
        problem(answer, 403, "forbidden")
        return
    codes = dict(zip(samples, (line.get("code") for line in answer.lines), strict=True))
    assert {name for name, code in codes.items() if code != "forbidden"} == (
        KNOWN.specs.keys() & NARROWED[role][1] if role in NARROWED else MAY[role]
    )


def test_the_principal_of_the_token_is_in_the_event(database: str, tmp_path: Path) -> None:
    """Events name who sent their command, also where many share a commit, and their leaves cover it."""
    kejin = Program(database)
    secrets = {name: token(kejin, name, "operator", "admin") for name in ("甲", "乙")}
    with serving(kejin, tmp_path / "log") as service:
        service.client(secrets["甲"]).record(*OPENING)
        service.client(secrets["乙"]).record(claim())
    assert [event["principal"] for event in kejin.events()] == ["甲"] * 5 + ["乙"]
    assert kejin.ask("verify", "log")["ok"]


def test_nobody_pays_what_they_decided(database: str, tmp_path: Path) -> None:
    """Four eyes over HTTP, alone and within one batch; another person may pay, and the owner's command line may."""
    kejin = Program(database)
    both = token(kejin, "both", *ROLES)
    other = token(kejin, "other", "finance")
    with serving(kejin, tmp_path / "log") as service:
        client = service.client(both)
        client.record(*OPENING, claim("C1", 100), publicise("C1"))
        problem(client.post(pay("C1")), 403, "four_eyes")
        problem(client.post(pay("C1"), dry_run="true"), 403, "four_eyes")
        lines = client.run(claim("C2", 100, "2023-04-01"), publicise("C2"), pay("C2")).lines
        assert [line["outcome"] for line in lines] == ["accepted", "accepted", "refused"]
        assert (lines[2]["code"], lines[2]["positions"]) == ("four_eyes", [])
        assert service.client(other).post(pay("C1")).status == 201
    assert kejin.run(pay("C2"), options=["--as", "both"]).code == 0


def test_without_tokens_one_person_may_do_everything(service: Service) -> None:
    """On an open loopback four eyes is off."""
    service.record(*OPENING, claim(), publicise(), pay())


def test_a_token_that_is_revoked_or_expired_or_wrong_is_refused(database: str, tmp_path: Path) -> None:
    """Tokens made and revoked while the server runs count at once; the last one revoked does not open the service."""
    kejin = Program(database)
    with serving(kejin, tmp_path / "log") as service:
        assert service.get("/v1/caps").status == 200
        secret = token(kejin, "auditor", "auditor")
        until(lambda: service.get("/v1/caps").status == 401)
        client = service.client(secret)
        assert client.get("/v1/caps").status == 200
        later = service.client(token(kejin, "later", "auditor", days=1))
        assert later.get("/v1/caps").status == 200
        assert kejin("token", "revoke", "auditor").code == 0
        until(lambda: client.get("/v1/caps").status == 401)
        for wrong in ("kejin_nobody", "", "x" * 5_000, secret[:-1]):
            problem(service.get("/v1/caps", {"Authorization": f"Bearer {wrong}"}), 401, "unauthorized")
        problem(service.get("/v1/caps", {"Authorization": "Basic dXNlcjpwYXNz"}), 401, "unauthorized")
        assert kejin("token", "revoke", "later").code == 0
        until(lambda: later.get("/v1/caps").status == 401)
        assert service.get("/v1/caps").status == 401
    listed = kejin.ask("token", "list")
    assert [t["principal"] for t in listed] == ["auditor", "later"]
    assert all(t["revoked_at"] for t in listed)


def test_a_token_counts_from_the_moment_that_it_was_made(database: str, tmp_path: Path) -> None:
    """Whoever is told a token may use it at once, however short ago the server looked at the tokens."""
    kejin = Program(database)
    token(kejin, "first", "auditor")
    with serving(kejin, tmp_path / "log") as service, Store.open(database, as_owner=True) as owner:
        for number in range(40):
            _, secret = create(owner, f"auditor-{number}", ["auditor"], [], None)
            assert service.client(secret).get("/v1/caps").status == 200


def test_what_a_token_began_ends_with_it(database: str, tmp_path: Path) -> None:
    """A stream gets no event, and a batch has no line accepted, once its token is revoked."""
    kejin = Program(database)
    boss = token(kejin, "boss", *ROLES)
    secret = token(kejin, "clerk", *ROLES)
    with serving(kejin, tmp_path / "log") as service:
        service.client(boss).record(*OPENING)
        head = f"HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n".encode()
        stream, batch = (socket.create_connection((service.host, service.port)) for _ in range(2))
        with stream, batch:
            stream.sendall(b"GET /v1/events/stream " + head + b"\r\n")
            assert stream.recv(12) == b"HTTP/1.1 200"
            batch.sendall(
                b"POST /v1/commands " + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(repay(1))
            )
            answered = batch.makefile("rb")
            assert b'"accepted"' in next(line for line in answered if line.startswith(b"{"))
            streamed = stream.makefile("rb")
            assert any(b"LoanRepaid" in line for line in streamed)
            assert kejin("token", "revoke", "clerk").code == 0
            until(lambda: service.client(secret).get("/v1/caps").status == 401)
            batch.sendall(chunk(repay(2)) + b"0\r\n\r\n")
            told = json.loads(next(line for line in answered if line.startswith(b"{")))
            assert (told["outcome"], told["code"]) == ("refused", "unauthorized")
            service.client(boss).record(repay(3))
            # To the last chunk: the connection stays open for another request.
            assert not any(b"id: " in line for line in iter(streamed.readline, b"0\r\n"))


def chunk(line: Line) -> bytes:
    """A line of a body that is sent piece by piece."""
    data = ndjson(line)
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_secrets_are_stored_nowhere(database: str, tmp_path: Path) -> None:
    """Neither the database nor the server's log holds a token's secret, valid or not."""
    import psycopg

    kejin = Program(database)
    secret = token(kejin, "a", "auditor")
    with serving(kejin, tmp_path / "log") as service:
        service.client(secret).get("/v1/caps")
        service.client(secret + "x").get("/v1/caps", token=secret)
        service.client(secret).get(f"/v1/{secret}")
    with psycopg.connect(database) as connection:
        row = connection.execute("select t::text from kejin_work.tokens t").fetchone()
    assert row is not None
    assert secret not in row[0]
    assert secret not in (tmp_path / "log").read_text()


def test_it_listens_beyond_loopback_only_with_tokens(database: str, tmp_path: Path) -> None:
    """`--host 0.0.0.0` without tokens is refused with one clear line; with a token it serves."""
    kejin = Program(database)
    refused = kejin("serve", "--host", "0.0.0.0", "--port", 0)
    assert refused.code == 2
    assert "kejin token" in refused.complaint
    secret = token(kejin, "a", "auditor")
    with serving(kejin, tmp_path / "log", "--host", "0.0.0.0") as service:
        assert service.client(secret).get("/v1/caps").status == 200
        problem(service.get("/v1/caps"), 401, "unauthorized")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Origin": "https://elsewhere.example"}, 403, "cross_site"),
        ({"Origin": "null"}, 403, "cross_site"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "cross_site"),
        ({"Host": "rebound.example:80"}, 421, "misdirected"),
    ],
)
def test_pages_of_other_sites_cannot_use_an_open_server(
    service: Service, headers: dict[str, str], status: int, code: str
) -> None:
    """What a browser says of where a request comes from is believed; a rebound name is not ours."""
    problem(service.post(OPENING[0], headers), status, code)
    same: dict[str, Any] = {"Origin": f"http://127.0.0.1:{service.port}", "Sec-Fetch-Site": "same-origin"}
    assert service.post(OPENING[0], same).status == 201


@pytest.mark.parametrize(
    "arguments",
    [
        ["make"],
        ["create"],
        ["create", "a"],
        ["create", "a", "--role", "king"],
        ["create", " a", "--role", "admin"],
        ["create", "a\u202eb", "--role", "admin"],
        ["create", "e\u0301", "--role", "admin"],
        ["create", "a", "--role", "operator", "--only", "fly"],
        ["create", "a", "--role", "operator", "--only", "draw-loan", "--only", "pay"],
        ["create", "a", "--role", "finance", "--only", "verify"],
        ["create", "a", "--role", "finance", "--only", "batch"],
        ["create", "a", "--role", "admin", "--until", "2001-01-01"],
        ["create", "a", "--role", "admin", "--until", "soon"],
        ["create", "a", "--role", "admin", "--days", "1", "--until", "2999-01-01"],
        ["revoke"],
        ["revoke", "nobody"],
        ["list", "nobody"],
    ],
)
def test_token_refuses_what_it_cannot_use(database: str, arguments: list[str]) -> None:
    """Exit 2 and one clear line."""
    answer = Program(database)("token", *arguments)
    assert answer.code == 2
    assert answer.complaint


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("anna", "Anna"),
        ("ANNA", "anna"),
        ("Ａnna", "Anna"),
        ("①号", "1号"),
        ("straße", "STRASSE"),
        ("ﬁscal", "fiscal"),
    ],
)
def test_two_names_are_not_one_person_in_other_letters(database: str, name: str, other: str) -> None:
    """Four eyes counts people by name: a name that is another's but for case, width or compatibility form is refused
    with one line that names the other, also after that one's token was revoked; the same name may have more tokens."""
    kejin = Program(database)
    token(kejin, other, "operator")
    token(kejin, other, "finance")
    for said in ("would be taken for", "混淆"):
        refused = kejin(
            "token", "create", name, "--role", "finance", KEJIN_LANG="zh" if said == "混淆" else "en"
        )
        assert (refused.code, refused.out) == (2, b"")
        assert (
            repr(name) in refused.complaint and repr(other) in refused.complaint and said in refused.complaint
        )
        kejin("token", "revoke", other)
    assert {t["principal"] for t in kejin.ask("token", "list")} == {other}
    token(kejin, f"{name}-2", "finance")


def test_what_a_token_is_narrowed_to_is_listed_and_told(database: str, tmp_path: Path) -> None:
    """`kejin token list` shows it, and who is refused is told what the token is for, in their language."""
    kejin = Program(database)
    secret = token(kejin, "某银行", "operator", only=("repay-loan", "draw-loan", "repay-loan"))
    token(kejin, "all", "operator")
    listed = {t["principal"]: t["only"] for t in kejin.ask("token", "list")}
    assert listed == {"某银行": ["draw-loan", "repay-loan"], "all": None}
    assert "draw-loan, repay-loan" in kejin("token", "list").out.decode()
    with serving(kejin, tmp_path / "log") as service:
        client = service.client(secret)
        told = problem(client.get("/v1/caps", {"Accept-Language": "zh"}), 403, "forbidden")
        assert told["detail"] == "该令牌仅限于 draw-loan, repay-loan"
        problem(client.post(OPENING[0]), 403, "forbidden")  # what its role may not do
        problem(client.post(claim()), 403, "forbidden")  # what its role may do, and it may not


def test_tokens_of_an_older_schema_stay_valid(database: str, tmp_path: Path) -> None:
    """A ledger whose tokens were made before they could be narrowed is brought up to date; they may do what they
    might."""
    import psycopg

    kejin = Program(database)
    secret = token(kejin, "old", "auditor")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("alter table kejin_work.tokens drop column narrowed_to")
        connection.execute("update kejin_work.schema_version set version = 4")
    with serving(kejin, tmp_path / "log") as service:
        assert service.client(secret).get("/v1/caps").status == 200
        problem(service.client(secret).post(claim()), 403, "forbidden")
    assert [t["only"] for t in kejin.ask("token", "list")] == [None]
