#!/usr/bin/env python3
"""Checks an evidence pack of a Kejin ledger. One file, standard library only, no network, no database; Python >= 3.9.

    python kejin-verify.py PACK [--key KEY | --checkpoint FILE]

KEY is the ledger's public key (its text or a file with it), FILE a checkpoint that you were given earlier: not taken
from the pack. Exit 0: everything holds; else 1. Without both the pack is only shown to be consistent with itself.

Checked in this order: every byte of the zip; the manifest and its signature; the checkpoint's signature (RFC 8032), and
that FILE's log is the beginning of the pack's (RFC 6962); each event's place in the log; books, amounts by the rules,
the use of caps before and after; for a firm or a bank that these are all its events.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import struct
import sys
import zlib
from bisect import bisect_left, bisect_right, insort
from datetime import date
from fractions import Fraction
from pathlib import Path


class Rejected(Exception):
    """Something does not hold; the message says what, in the reader's language."""


def say(en, zh):
    asked = next((os.environ[n] for n in ("KEJIN_LANG", "LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(n)), "en")
    return "".join(c if c.isprintable() else "?" for c in (zh if asked.lower().startswith("zh") else en))  # no escapes


TEXTS = {
    "changed": ("changed since it was made", "已被改动"),
    "malformed": ("malformed", "格式有误"),
    "signature": ("not signed by the pack's key", "签名无效"),
    "other_key": ("signed with another key than the one that you brought", "签名密钥与您所持的不同"),
    "handover": ("the old key did not hand over to the new one", "密钥交接无效"),
    "other_log": ("the checkpoint is of another log", "检查点属于另一日志"),
    "older": ("the pack is older than your checkpoint; ask for a new one", "本包早于您所持的检查点；请重新开具"),
    "no_proof": ("no proof from your checkpoint; ask for kejin prove --checkpoint", "缺少自您所持检查点起的证明"),
    "not_in_log": ("not in the signed log as it stands here", "与已签名的日志不符"),
    "order": ("events are out of order", "事件次序有误"),
    "books": ("the books do not balance", "账不平"),
    "rules": ("other rules than the log adopted", "规则与日志所启用的不符"),
    "amount": ("the amount does not follow from the rules", "金额与规则不符"),
    "states": ("what stood before and after is wrong", "前后状态有误"),
    "index": ("not in the signed index of parties", "不在已签名的主体索引中"),
    "left_out": ("events are left out or added", "事件有遗漏或增添"),
    "subject": ("the pack is not about what it says", "包内容与其主题不符"),
}


def demand(holds, code, subject=""):
    if not holds:
        raise Rejected(": ".join(filter(None, (str(subject), say(*TEXTS[code])))))


def sha256(data):
    return hashlib.sha256(data).digest()


# Ed25519 (RFC 8032 §5.1), verification only.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def recover(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x * ROOT_OF_MINUS_1 % P if (x * x - square) % P else x
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        total = add(total, point) if scalar & 1 else total
        point, scalar = add(point, point), scalar >> 1
    return total


BASE = recover((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verifies(public, signature, text):
    """RFC 8032 §5.1.7: whether the signature (64 bytes) over the text is the key's (32 bytes)."""
    a, r = recover(public), recover(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or len(signature) != 64:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % L
    left, right = multiply(s, BASE), add(r, multiply(k, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


def exact_base64(text, length):
    value = base64.b64decode(text.encode(), validate=True)
    demand(len(value) == length and base64.b64encode(value).decode() == text, "malformed", "base64")
    return value


class Key:
    """A verifier key `<name>+<key id>+<base64(1 || 32 bytes)>`."""

    def __init__(self, text):
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        kind_and_key = exact_base64(encoded, 33)
        self.text, self.name, self.public = text.strip(), name, kind_and_key[1:]
        self.id = sha256(name.encode() + b"\n" + kind_and_key)[:4]
        demand(kind_and_key[0] == 1 and self.id.hex() == key_id, "malformed", "key")

    def signed(self, note):
        text, gap, tail = note.rpartition("\n\n")
        if not gap or not tail.endswith("\n"):
            return None
        for line in tail[:-1].split("\n"):
            match = re.fullmatch("— ([^ ]+) ([A-Za-z0-9+/=]+)", line)
            demand(match, "malformed", "note")
            value = exact_base64(match[2], 68)
            if match[1] == self.name and value[:4] == self.id:
                return text + "\n" if verifies(self.public, value[4:], (text + "\n").encode()) else None
        return None


class Checkpoint:
    def __init__(self, text):
        lines = text.split("\n")
        shaped = len(lines) == 5 and lines[3].startswith("parties ") and re.fullmatch("0|[1-9][0-9]{0,17}", lines[1])
        demand(shaped, "malformed", "checkpoint")
        self.origin, self.size, self.root = lines[0], int(lines[1]), exact_base64(lines[2], 32)
        self.parties = exact_base64(lines[3][len("parties ") :], 32)


def unhex(nodes):
    path = [bytes.fromhex(node) for node in nodes]
    demand(all(len(node) == 32 for node in path), "malformed", "path")
    return path


def turns(index, size):
    """The way from a leaf to the root of a tree: of each sibling whether it stands on the left (RFC 9162 §2.1.3.2)."""
    last = size - 1
    while last:
        yield index & 1 == 1 or index == last
        while index and index == last and not index & 1:
            index, last = index >> 1, last >> 1
        index, last = index >> 1, last >> 1


def root_from(leaf, index, size, path):
    sides = list(turns(index, size)) if 0 <= index < size else []
    if not 0 <= index < size or len(sides) != len(path):
        return None
    for left, sibling in zip(sides, path):
        leaf = sha256(b"\x01" + (sibling + leaf if left else leaf + sibling))
    return leaf


def is_consistent(old, old_root, size, root, path):
    if old == size or not 0 < old < size or not path:
        return old_root == (root if old == size else sha256(b"") if old == 0 else None) and not path
    path = list(path) if old & (old - 1) else [old_root, *path]
    up = (old & -old).bit_length() - 1  # so many levels above the old tree's last leaf the way begins
    sides = list(turns((old - 1) >> up, ((size - 1) >> up) + 1))
    of_old = of_new = path[0]
    for left, sibling in zip(sides, path[1:]):
        of_old = sha256(b"\x01" + sibling + of_old) if left else of_old
        of_new = sha256(b"\x01" + (sibling + of_new if left else of_new + sibling))
    return len(sides) == len(path) - 1 and of_old == old_root and of_new == root


def zip_of(entries):
    """The one zip file that a pack of these entries (name, bytes) is: stored, no dates, no extras."""
    body, directory, at = [], [], 0
    for name, data in entries:
        title = name.encode()
        sizes = (zlib.crc32(data), len(data), len(data), len(title), 0)
        shared = struct.pack("<HHHHHIIIHH", 20, 0x800, 0, 0, 0x21, *sizes)
        directory.append(b"PK\x01\x02\x14\x03" + shared + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, at) + title)
        body += [b"PK\x03\x04" + shared + title, data]
        at += 30 + len(title) + len(data)
    central, count = b"".join(directory), len(directory)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(central), at, 0)
    return b"".join(body) + central + b"PK\x05\x06" + end


def entries_of(archive):
    entries, at = [], 0
    while archive[at : at + 4] == b"PK\x03\x04":
        size, name_size = struct.unpack("<I4xH", archive[at + 18 : at + 28])
        start = at + 30 + name_size
        entries.append((archive[at + 30 : start].decode("ascii"), archive[start : start + size]))
        at = start + size
    demand(len(dict(entries)) == len(entries) and zip_of(entries) == archive, "changed", "zip")
    return dict(entries)


class Event:
    """An event from its canonical bytes: `kejin-event-1` and all stored fields, joined by U+0000."""

    def __init__(self, entry):
        head = entry.split(b"\0", 10)
        demand(len(head) == 11 and head[0] == b"kejin-event-1", "malformed", "event")
        words = [word.decode() for word in head[1:10]]
        self.position, self.recorded_us, self.span, tag_count = (int(words[i]) for i in (0, 1, 7, 8))
        self.effective_on, self.type, self.principal = words[2], words[3], words[4]
        *tags, rest = head[10].split(b"\0", tag_count) if tag_count else [head[10]]
        count, _, rest = rest.partition(b"\0")
        *lines, self.data = rest.split(b"\0", 3 * int(count)) if int(count) else [rest]
        texts = [line.decode() for line in lines]
        self.tags = [tag.decode() for tag in tags]
        self.postings = list(zip(texts[::3], map(int, texts[1::3]), texts[2::3]))
        self.leaf = sha256(b"\x00" + entry)
        again = [*words[:8], str(tag_count), *self.tags, str(len(self.postings))]
        again += [str(part) for account, fen, day in self.postings for part in (account, fen, date.fromisoformat(day))]
        read = [self.position, self.recorded_us, date.fromisoformat(self.effective_on), self.span]
        canonical = "\0".join(["kejin-event-1", *again]).encode() + b"\0" + self.data
        demand(canonical == entry and [*map(str, read)] == [*words[:3], words[7]], "malformed", "event")
        self.json = strict_json(self.data) if self.span else {}  # span 0: bytes that no command recorded
        spent = sum(f for n, f, _ in self.postings if n.startswith("public/round/") and n.endswith("/available"))
        public = [(n, f) for n, f, _ in self.postings if n.startswith("public/") and n != "public/treasury"]
        grown = sum(f for n, f in public if not n.endswith("/available"))  # by whatever rule, or by none
        self.is_grant = spent < 0 < grown or (self.postings if self.type.endswith("Refused") else "legs" in self.json)


def strict_json(data):
    def pairs(items):
        demand(len(dict(items)) == len(items), "malformed", "JSON")
        return dict(items)

    refuse = {name: lambda text: demand(False, "malformed", text) for name in ("parse_float", "parse_constant")}
    value = json.loads(data.decode(), object_pairs_hook=pairs, **refuse)
    demand(isinstance(value, dict), "malformed", "JSON")
    return value


class DaySums:
    def __init__(self):
        self.by_day, self.days, self.total = {}, [], 0

    def add(self, day, fen):
        if day not in self.by_day:
            insort(self.days, day)
        self.by_day[day] = self.by_day.get(day, 0) + fen
        self.total += fen

    def at(self, day):
        return self.total - sum(self.by_day[d] for d in self.days[bisect_right(self.days, day) :])


def room(limit, used, day):
    """min over d >= day of (limit(d) - used(d)), never below 0."""
    later = sorted({day, *limit.days[bisect_left(limit.days, day) :], *used.days[bisect_left(used.days, day) :]})
    left = lowest = limit.at(day) - used.at(day)
    for d in later[1:]:
        left += limit.by_day.get(d, 0) - used.by_day.get(d, 0)
        lowest = min(lowest, left)
    return max(0, lowest)


def clause_of(measure, call, instrument):
    """The clause of an instrument: the measure's, narrowed by the call; codes of readings replaced by what they say."""
    base = next(clause for clause in measure["clauses"] if clause["instrument"] == instrument)
    over = next((clause for clause in call.get("clauses", ()) if clause["id"] == base["id"]), {})
    reading = {**base.get("reading", {}), **over.get("reading", {})}

    def read(parameters):
        return {n: reading.get(v, v) if isinstance(v, str) else v for n, v in parameters.items()}

    def merged(name):
        parts = {}
        for book, one in [(b, one) for b, clause in ((measure, base), (call, over)) for one in clause.get(name, ())]:
            was, limit = parts.get(one["part"], {}), one.get("limit", {})
            dated = {} if was and "shape" not in limit else {"effective_from": book["effective_from"]}  # else: narrows
            limit = limit if dated else {**was.get("limit", {}), **limit}
            parts[one["part"]] = {**was, **dated, **one, "limit": limit}
        return [read(one) for one in parts.values()]

    unit = read({**base.get("terms", {}), **over.get("terms", {})}).get("rounding_unit_fen", 1)
    caps = []
    for cap in merged("caps"):
        window = cap.get("window", "lifetime")
        kinds = [*cap["key"], *([] if window == "lifetime" else [window])]
        caps.append((cap, f"{measure['programme']}.{cap.get('name', instrument)}.{'+'.join(kinds)}"))
    return {"id": base["id"], "legs": merged("legs"), "caps": caps, "unit": unit, "reading": reading}


def shape_value(parameters, basis):
    shape = parameters["shape"]
    if shape == "fixed":
        return Fraction(parameters["amount_fen"])
    figure = basis[parameters["of"]]
    if shape in ("share", "points"):
        years = Fraction(basis["period_days"], parameters["year_days"]) if shape == "points" else 1
        return Fraction(parameters["rate"]) * figure * years
    demand(shape == "ladder", "malformed", shape)
    steps = figure // parameters["step_fen"] - basis["mark"]
    if steps <= 0 or basis["mark"] > 0:
        return Fraction(max(0, steps) * parameters["further_fen"])
    more = steps - 1 if parameters["first_reach"] == "each" else 0
    return Fraction(parameters["first_fen"] + more * parameters["further_fen"])


def check_grant(event, rules, facts):
    """The amount follows from the rules: each figure computed again, the least taken, rounded down once; the postings
    move it. By each cap's name: the room that was left, the limit by the rules, the date from which on it holds."""
    data, where = event.json, f"@{event.position}"
    hashes = [data["rulebook"].get("measure_sha256"), data["rulebook"].get("call_sha256")]
    demand(rules.keys() | {None} >= {*hashes} and hashes[0], "rules", where)
    clause = clause_of(rules[hashes[0]], rules.get(hashes[1], {}), data["instrument"])
    first, last = (date.fromisoformat(data.get(name, "2000-01-01")) for name in ("period_from", "period_to"))
    basis = {**data["inputs"], "mark": data["inputs"].get("mark_before", 0), "period_days": (last - first).days + 1}
    for name, value in data["inputs"].items():  # facts that are here, if any, and what was claimed, say the same
        said = [fact[name] for fact in facts if name in fact]
        demand(data.get(name, value) == value and (not said or value in said), "amount", where)
    expected = [("decided", Fraction(data["decided_fen"]))] if "decided_fen" in data else []
    expected += [(leg["part"], shape_value(leg, basis)) for leg in clause["legs"]]
    legs = [(leg["part"], Fraction(leg.get("exact_fen", leg["value_fen"]))) for leg in data["legs"]]
    least = min(value for _, value in legs)
    binding = next(i for i, (_, value) in enumerate(legs) if value == least)
    told = [(i == binding, value // 1) for i, (_, value) in enumerate(legs)]
    holds = (
        legs[: len(expected)] == expected
        and [part for part, _ in legs[len(expected) :]] == [cap["part"] for cap, _ in clause["caps"]]
        and [(leg["binding"], leg["value_fen"]) for leg in data["legs"]] == told
        and data["amount_fen"] == int(least // 1) // clause["unit"] * clause["unit"] > 0
        and (data["clause"], data["reading"]) == (clause["id"], clause["reading"])
    )
    demand(holds, "amount", where)
    amount, moved = data["amount_fen"], {}
    for account, fen, _ in event.postings:
        moved[account] = moved.get(account, 0) + fen
    mine = {"firm": data["payee"], "guarantor": data["payee"], "loan": data.get("loan", data["inputs"].get("loan"))}
    used = [owner_of(name).partition(":") for name in moved if name.startswith("quota/")]
    demand(all(mine.get(kind, key) == key for kind, _, key in used), "amount", where)
    quotas = sorted(name.split("/")[1] for name, fen in moved.items() if name.startswith("quota/") and fen == amount)
    available, committed = (f"public/round/{data['round']}/{part}" for part in ("available", "committed"))
    holds = moved.get(available) == -amount and moved.get(committed) == amount
    demand(holds and quotas == sorted(name for _, name in clause["caps"]), "amount", where)
    rooms = zip(clause["caps"], legs[len(expected) :])
    since = {name: "9999-12-31" if "dated_by" in cap else cap["effective_from"] for cap, name in clause["caps"]}
    return {n: (int(left), shape_value(cap["limit"], basis) // 1, since[n]) for (cap, n), (_, left) in rooms}


def check_states(pack, events, rules):
    """Caps and marks before and after the subject's own events, computed again where all events of a key are here."""
    whole, sums, stated, facts = {*pack["whole"], *(proof["tag"] for proof in pack["complete"])}, {}, {}, {}
    tag = "{kind}:{claim}".format(**{"claim": pack["subject"].get("uscc"), **pack["subject"]})
    for state in pack["states"]:
        stated.setdefault(state["position"], []).append(state)
    for event in events:
        shared = [tag for tag in event.tags if tag.startswith(("loan:", "payout:", "product:"))]
        for name in shared if event.type in ("LoanDrawn", "GuaranteePaidOut", "CreditCertified") else ():
            facts.setdefault(name, []).append(event.json)
        legs = check_grant(event, rules, [f for n in shared for f in facts.get(n, ())]) if event.is_grant else {}
        states = stated.pop(event.position, [])
        accounts = dict.fromkeys(name for name, _, _ in event.postings if name.startswith(("quota/", "milestone/")))
        told = list(accounts) if tag in event.tags or event.position == pack["subject"].get("position") else []
        demand([state["account"] for state in states] == told, "states", f"@{event.position}")
        before = [figures(sums, state["account"], event) for state in states]
        for account, fen, day in event.postings:
            sums.setdefault(account, DaySums()).add(day, fen)
        for state, then in zip(states, before):
            after = figures(sums, state["account"], event)
            if state["owner"] in whole:
                holds = (state["before"], state["after"]) == (then, after)
            else:  # the room hangs on events that are not here
                names = after.keys() - {"room_fen"}
                holds = all(state["after"][n] - state["before"][n] == after[n] - then[n] for n in names)
            left_fen, limit_fen, since = legs.get(state["account"].split("/")[1], (None, None, ""))
            if left_fen is not None:
                limit = sums.get("limit" + state["account"][len("quota") :]) or DaySums()
                holds = holds and left_fen == state["after"]["room_fen"] + event.json["amount_fen"]
                holds = holds and (state["owner"] not in whole or limit.at(since) == limit_fen)
            demand(holds and owner_of(state["account"]) == state["owner"], "states", f"@{event.position}")
    demand(not stated, "states")


def figures(sums, account, event):
    tail, day = account[account.index("/") :], event.effective_on
    limit, used, settled, mark = (sums.get(b + tail) or DaySums() for b in ("limit", "quota", "settled", "milestone"))
    if account.startswith("milestone/"):
        return {"mark_fen": mark.total}
    held = {"limit_fen": limit.at(day), "used_fen": used.at(day), "settled_fen": settled.at(day)}
    return {**held, "room_fen": room(limit, used, day)}


def owner_of(account):
    """The tag whose events hold every posting of an account."""
    parts = account.split("/")
    kind = parts[1].rpartition(".")[2].partition("+")[0]
    return f"{kind}:{parts[2]}/{parts[3]}" if kind == "product" else f"{kind}:{parts[2]}"


def check_complete(proof, pack, by_position, checkpoint, held):
    """All events of a tag up to the checkpoint are here. Whether the reader's own checkpoint shows it for its part."""
    tag, until, later = proof["tag"], pack["until"], [(at, bytes.fromhex(leaf)) for at, leaf in proof["later"]]
    told = [(event.position, event.leaf) for event in by_position.values() if tag in event.tags] + later
    places = [position for position, _ in told]
    demand(places == sorted(set(places)) and all(until < at <= checkpoint.size for at, _ in later), "order", tag)
    check_index(tag, told, proof, checkpoint.parties)
    earlier = [one for one in proof.get("earlier", ()) if held and one["size"] == held.size]
    for one in earlier:
        check_index(tag, [(position, leaf) for position, leaf in told if position <= held.size], one, held.parties)
    return held is None or held.size in (0, checkpoint.size) or bool(earlier)


def check_index(tag, told, proof, parties):
    """The chain over all events of a tag (position, leaf) is the one in the index with this root."""
    name, head = tag.encode(), bytes(32)
    for position, leaf in told:
        head = sha256(b"\x02" + head + position.to_bytes(8, "big") + leaf)
    entry = sha256(name) + sha256(b"\x03" + len(told).to_bytes(8, "big") + head + name)
    bucket = bytes.fromhex(proof["bucket"])
    entries = {bucket[i : i + 32]: bucket[i : i + 64] for i in range(0, len(bucket), 64)}
    demand(b"".join(entries[key] for key in sorted(entries)) == bucket, "index", tag)
    demand(entries.get(sha256(name)) == (entry if told else None), "left_out", tag)
    number = int.from_bytes(sha256(name)[:2], "big") >> 6
    demand(root_from(sha256(b"\x00" + bucket), number, 1024, unhex(proof["path"])) == parties, "index", tag)


def handovers(events):
    """Who handed the log over to whom: (old, new) keys, each handover signed by the old one and recorded."""
    for event in events:
        if event.type == "SigningKeyAdopted" and event.json.get("replaces"):
            old, new = Key(event.json["replaces"]), Key(event.json["key"])
            signature = base64.b64decode(event.json["signature"], validate=True)
            text = f"kejin-key-handover-1\n{old.text}\n{new.text}\n"
            demand(verifies(old.public, signature, text.encode()), "handover", f"@{event.position}")
            yield old, new


def check_trust(own, links, checkpoint, pack, given_key, given_note):
    """Tie the pack's key to what the reader brought. The checkpoint that they brought, if they did."""
    trusted = {own.text: own}
    for old, new in reversed(links):  # the keys before the pack's own
        if new.text in trusted:
            trusted[old.text] = old
    demand(given_key is None or given_key in trusted, "other_key")
    if given_note is None:
        return None
    text = next((text for text in (key.signed(given_note) for key in trusted.values()) if text), None)
    demand(text, "other_key" if "\n— " in given_note else "malformed", "--checkpoint")
    held = Checkpoint(text)
    demand(held.size <= checkpoint.size, "older", f"{checkpoint.size} < {held.size}")
    lines = [line.split(" ") for line in given_note[len(text) + 1 : -1].split("\n")]
    ids = {base64.b64decode(line[2])[:4] for line in lines if line[1] == own.name}  # a newer key's among them?
    demand(ids <= {key.id for key in trusted.values()}, "other_key", "--checkpoint")
    paths = {0: [], checkpoint.size: [], **{one["size"]: one["path"] for one in pack["consistency"]}}
    demand(held.size in paths, "no_proof", held.size)
    same = is_consistent(held.size, held.root, checkpoint.size, checkpoint.root, unhex(paths[held.size]))
    same = same and held.origin == checkpoint.origin
    demand(same and (held.size != checkpoint.size or held.parties == checkpoint.parties), "other_log")
    return held


def check_manifest(files):
    """The files are those that the manifest names, unchanged, and the pack's key signed it."""
    pack = strict_json(files["pack.json"])
    demand(pack["format"] == "kejin-pack-1", "malformed", pack["format"])
    own = Key(pack["key"])
    text = own.signed(files["MANIFEST"].decode())
    demand(text and files["MANIFEST"].count("— ".encode()) == 1, "signature", "MANIFEST")
    lines = [f"{own.name}/pack", "kejin-pack-1"]
    lines += [f"{sha256(d).hex()} {len(d)} {n}" for n, d in files.items() if n != "MANIFEST"]
    named = ["MANIFEST", "checkpoint", "pack.json", "events", "page.html", "kejin-verify.py"]
    demand([name for name in files if not name.startswith("rules/")] == named, "changed", "names")
    demand(text == "\n".join(lines) + "\n", "changed")
    return pack, own


def read_events(pack, files, checkpoint):
    """The pack's events, each shown to be in the log at its place."""
    events, kept, at, last = [], files["events"], 0, (0, 0)
    for told in pack["events"]:
        start = kept.index(b"\n", at) + 1
        at = start + int(kept[at:start])
        event = Event(kept[start:at])
        root = root_from(event.leaf, event.position - 1, checkpoint.size, unhex(told["path"]))
        demand(event.position == told["position"] and root == checkpoint.root, "not_in_log", f"@{told['position']}")
        demand(last[0] < event.position and last[1] <= event.recorded_us, "order")
        last = (event.position, event.recorded_us)
        for book in ("public/", "private/"):
            demand(sum(f for name, f, _ in event.postings if name.startswith(book)) == 0, "books", f"@{event.position}")
        events.append(event)
    demand(at == len(kept), "changed", "events")
    return events


def check_rules(events, files):
    """The rulebooks that the log adopted, by hash; the files beside them are the same."""
    rules, named = {}, {}
    for event in events:
        if event.type == "RulebookAdopted" and event.span:
            content = rules[event.json["sha256"]] = event.json["content"]
            canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            demand(sha256(canonical).hex() == event.json["sha256"], "rules", f"@{event.position}")
            named[f"rules/{event.position}.json"] = canonical
    demand(named == {name: data for name, data in files.items() if name.startswith("rules/")}, "rules")
    return rules


def check_subject(pack, by_position, size):
    """The pack is about what it says: the event, the claim, or all events of a party."""
    until, kind, tags = pack["until"], pack["subject"]["kind"], [proof["tag"] for proof in pack["complete"]]
    name = str(pack["subject"][{"event": "position", "claim": "claim"}.get(kind, "uscc")])
    if kind == "event":
        holds = type(pack["subject"]["position"]) is int and name == str(until) and until in by_position and not tags
    elif kind == "claim":
        holds = any(f"claim:{name}" in event.tags for event in by_position.values()) and not tags
    else:
        holds = kind in ["firm", "research_institute", "bank", "guarantor", "service_body", "investor", "insurer"]
        holds = holds and re.fullmatch("[0-9A-Z]{18}", name) and tags == [f"{kind}:{name}", f"party:{name}"]
    later = [at for at, event in by_position.items() if at > until and event.type != "SigningKeyAdopted"]
    holds = holds and len(pack["subject"]) == 2 and type(until) is int and 0 < until <= size and not later
    demand(holds, "subject")


def verify(archive, given_key=None, given_note=None):
    """Check a pack: (pack, events, checkpoint, what check_complete says). Raises Rejected; some other for no pack."""
    files = entries_of(archive)
    pack, own = check_manifest(files)
    text = own.signed(files["checkpoint"].decode())
    demand(text, "signature", "checkpoint")
    checkpoint = Checkpoint(text)
    demand(checkpoint.origin == own.name, "other_log")
    events = read_events(pack, files, checkpoint)
    by_position = {event.position: event for event in events}
    held = check_trust(own, list(handovers(events)), checkpoint, pack, given_key, given_note)
    check_subject(pack, by_position, checkpoint.size)
    shown = [check_complete(proof, pack, by_position, checkpoint, held) for proof in pack["complete"]]
    check_states(pack, events, check_rules(events, files))
    return pack, events, checkpoint, all(shown)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: stop(f"kejin-verify: {message}")  # not argparse's own exit code, 2
    parser.add_argument("pack", metavar="PACK")
    brought = parser.add_mutually_exclusive_group()
    brought.add_argument("--key", metavar="KEY")
    brought.add_argument("--checkpoint", metavar="FILE")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # whatever a terminal can show
    try:
        key, note = arguments.key, arguments.checkpoint
        key = None if key is None else Key(Path(key).read_text("utf-8") if Path(key).is_file() else key).text
        note = None if note is None else Path(note).read_text("utf-8")
        pack, events, checkpoint, shown = verify(Path(arguments.pack).read_bytes(), key, note)
    except Rejected as problem:
        stop(say(f"REJECTED: {problem}", f"不成立：{problem}"))
    except OSError as error:
        stop(f"kejin-verify: {error.filename}: {error.strerror}")
    except Exception as error:  # whatever a file that is no pack runs into
        name = type(error).__name__
        stop(say(f"REJECTED: not an evidence pack of Kejin ({name})", f"不成立：不是科金证据包（{name}）"))
    what = " ".join(str(pack["subject"][name]) for name in sorted(pack["subject"], key="kind".__ne__))
    en = f"{what}: {len(events)} events, as known at position {pack['until']}, in a log of {checkpoint.size}"
    print(say(en, f"{what}：{len(events)} 条事件，所知截至第 {pack['until']} 条，日志共 {checkpoint.size} 条"))
    whole = say("complete: these are all its events up to there", "完整：截至该处的全部事件均在其中，无遗漏")
    some = say("others of its events may be missing: ask for the firm's or bank's", "未证明完整：请索取企业或银行的包")
    print(whole if pack["complete"] else some)
    if not shown:
        en = "(for the events before your checkpoint take the key's word, or ask for kejin prove --checkpoint)"
        print(say(en, "（您所持检查点之前的完整性仅凭密钥；请索取 kejin prove --checkpoint 开具的包）"))
    en, zh = f"HOLDS: signed by {pack['key']}", f"成立：签名密钥 {pack['key']}"
    if key is None and note is None:
        en = "HOLDS, but the pack is only consistent with itself: bring a --key or --checkpoint from elsewhere"
        zh = "仅自身一致：请另行取得 --key 或 --checkpoint，方可确认出自该账本"
    print(say(en, zh))


def stop(line):
    print(line)
    sys.exit(1)


if __name__ == "__main__":
    main()
