"""Problems as RFC 9457 has them: one closed list of codes, each with its status, in English and Chinese.

Refusals by rules (ledger.refusals.CODES) are 409; everything here is what the service itself answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from api.service.words import value_word
from ledger.refusals import CODES

MEDIA_TYPE: Final = "application/problem+json"
REFUSED_STATUS: Final = 409


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, its title for people, and whether asking again later helps."""

    status: int
    en: str
    zh: str
    again: bool = False


KINDS: Final[Mapping[str, Kind]] = {
    "invalid": Kind(422, "Malformed command", "命令格式不正确"),
    "invalid_parameter": Kind(422, "Malformed parameter", "参数格式不正确"),
    "unknown_parameter": Kind(422, "Unknown parameter", "未知参数"),
    "invalid_cursor": Kind(422, "Unusable cursor", "游标不可用"),
    "unusable_rules": Kind(422, "Rules that nothing can be decided by", "规则无法用于决定"),
    "malformed_request": Kind(400, "Malformed HTTP request", "HTTP 请求格式不正确"),
    "unauthorized": Kind(401, "A valid token is needed", "需要有效令牌"),
    "forbidden": Kind(403, "This token may not do that", "该令牌无此权限"),
    "four_eyes": Kind(403, "Whoever decided a claim may not pay it", "决定申请的人不得支付该申请"),
    "cross_site": Kind(403, "Requests from other sites are not taken", "不接受来自其他站点的请求"),
    "not_found": Kind(404, "No such address", "没有此地址"),
    "not_known": Kind(404, "Not known", "尚不可知"),
    "unknown_account": Kind(404, "No account of a known shape", "账户路径不合规"),
    "unknown_command": Kind(404, "No such command", "没有此命令"),
    "unknown_round": Kind(404, "No such round", "没有此轮次"),
    "unknown_party": Kind(404, "No such party", "没有此主体"),
    "nothing_to_explain": Kind(404, "Nothing was computed there", "该事件未计算金额"),
    "method_not_allowed": Kind(405, "Method not allowed", "不允许的方法"),
    "timeout": Kind(408, "The body did not come in time", "请求体未及时到达"),
    "body_too_large": Kind(413, "The body is too large", "请求体过大"),
    "unsupported_encoding": Kind(415, "Bodies are taken as they are", "请求体不得压缩"),
    "misdirected": Kind(421, "Not a name of this server", "不是本服务器的名称"),
    "too_many_streams": Kind(429, "Too many open streams", "事件流连接过多", again=True),
    "head_too_large": Kind(431, "The head of the request is too large", "请求头过大"),
    "busy": Kind(503, "Too many requests are waiting", "等待的请求过多", again=True),
    "stopping": Kind(503, "The server is stopping", "服务器正在停止", again=True),
    "database_unavailable": Kind(503, "The database is not available", "数据库不可用", again=True),
    "too_slow": Kind(503, "The question took too long", "查询耗时过长", again=True),
    "contradiction": Kind(503, "The log is not the one that was signed", "日志与已签署的不符"),
    "not_decidable": Kind(503, "The log cannot be decided again", "日志无法重新决定"),
    "behind": Kind(503, "The projections are behind", "投影尚未跟上", again=True),
}


class HttpProblem(Exception):
    """What a request is answered instead of what it asked for. `more` are further members of the document."""

    def __init__(
        self, code: str, en: str, zh: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(en)
        self.code = code
        self.zh = zh
        self.headers = dict(headers or {})
        self.more = more

    @property
    def status(self) -> int:
        """The HTTP status of its kind."""
        return KINDS[self.code].status

    def document(self, language: str) -> dict[str, Any]:
        """The problem as JSON."""
        detail = self.zh if language == "zh" else str(self)
        return {**head(self.code, language), "detail": detail, "code": self.code, "clause": None, **self.more}


def head(code: str, language: str) -> dict[str, Any]:
    """Type, title and status of a problem's code."""
    kind = KINDS.get(code)
    if kind is None:
        return _refusal_head(code, language)
    title = kind.zh if language == "zh" else kind.en
    return {"type": f"urn:kejin:problem:{code}", "title": title, "status": kind.status}


def _refusal_head(code: str, language: str) -> dict[str, Any]:
    words = value_word(code, language) or code.replace("_", " ")
    title = f"规则拒绝：{words}" if language == "zh" else f"Refused: {words}"
    return {"type": f"urn:kejin:refusal:{code}", "title": title, "status": REFUSED_STATUS}


def refused(outcome: Mapping[str, Any], language: str) -> bytes:
    """The document of a refused command: the problem, and beside it the members of its outcome."""
    code = outcome["code"]
    assert code in CODES, code
    return orjson.dumps({**_refusal_head(code, language), "clause": None, **outcome})
