"""Whether a PromQL query keeps to what its MetricsSource lets it see. Pure.

The query is taken apart into tokens as Prometheus does it, and every place where a selector may stand is looked at.
A keyword is one only where the grammar wants one: `sum(or)` reads a metric called "or".
"""

import re
from collections.abc import Sequence

_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
    r"""|(?P<name>[A-Za-z_:][A-Za-z0-9_:.]*)|(?P<number>[0-9][0-9A-Za-z_.]*)|(?P<space>[ \t\r\n]+)"""
    r"""|(?P<sign>=~|!=|!~|[-+*/%^()\[\]{},=!<>@:.])|(?P<other>.)""",
    re.DOTALL,
)
_GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}  # a list of labels may follow
_BETWEEN = {"and", "or", "unless", "atan2", "offset", "group_left", "group_right"}  # stand after an operand
_NUMBERS = {"inf", "nan"}
_COMPARISONS = {"=", "!=", "<", ">"}  # the last token of ==, !=, <, <=, > and >=
_CLOSING_SIGNS = {"{": "}", "[": "]"}
_READS_MORE = {"info"}  # functions that read series which no selector of theirs names

Token = tuple[str, str]  # (kind, text)
Matcher = tuple[str, str]  # label, value


def unconfined(query: str, matchers: Sequence[Matcher]) -> str | None:
    """What in `query` could read beyond the enforced `matchers`; None where every selector carries each of them.

    A matcher is carried as `label="value"` inside the selector's own braces. What cannot be told is unconfined:
    comments, a bare metric name, alternatives inside braces, escapes in a value, signs that PromQL does not have.
    """
    if not matchers:
        return None
    tokens: list[Token] = [(str(m.lastgroup), m.group()) for m in _TOKEN.finditer(query) if m.lastgroup != "space"]
    index = 0
    while index < len(tokens):
        found = _finding(tokens, index, matchers)
        if found:
            return found
        index = _last_of(tokens, index) + 1
    return None


def _finding(tokens: Sequence[Token], index: int, matchers: Sequence[Matcher]) -> str | None:
    """What is unconfined in the part of the query that begins at `index`."""
    kind, text = tokens[index]
    if kind == "other":
        return "a comment" if text == "#" else f"{text}, which PromQL does not have"
    if text == "{":
        return _missing(tokens[index + 1 : _last_of(tokens, index)], matchers)
    if kind != "name":
        return None
    following = _text_at(tokens, index + 1)
    if text.lower() in _READS_MORE and following == "(":
        return f"{text}(), which reads series that it does not name"
    return None if _is_harmless(text.lower(), _before(tokens, index), following) else f"{text} without matchers"


def _last_of(tokens: Sequence[Token], index: int) -> int:
    """Where the part that begins at `index` ends: a selector, a range, a list of labels, else one token."""
    kind, text = tokens[index]
    if text in _CLOSING_SIGNS:
        return _closing(tokens, index, _CLOSING_SIGNS[text])
    if kind == "name" and text.lower() in _GROUPINGS and _text_at(tokens, index + 1) == "(":
        return _closing(tokens, index + 1, ")")
    return index


def _text_at(tokens: Sequence[Token], index: int) -> str:
    return tokens[index][1] if index < len(tokens) else ""


def _before(tokens: Sequence[Token], index: int) -> Token:
    return tokens[index - 1] if index else ("", "")


def _is_harmless(name: str, before: Token, following: str) -> bool:
    """A function, a list of labels, a number, a keyword in its place, or a metric whose braces are looked at next."""
    if following in {"(", "{"} or name in _NUMBERS or following.lower() in {"by", "without"}:
        return True
    if name == "bool":
        return before[1] in _COMPARISONS
    return name in _BETWEEN and _ends_operand(before)


def _ends_operand(token: Token) -> bool:
    kind, text = token
    if kind == "name":  # another keyword does not
        return text.lower() in _NUMBERS
    return kind in {"number", "string"} or text in {")", "}", "]"}


def _closing(tokens: Sequence[Token], start: int, sign: str) -> int:
    for index in range(start, len(tokens)):
        if tokens[index] == ("sign", sign):
            return index
    return len(tokens)


def _missing(block: Sequence[Token], matchers: Sequence[Matcher]) -> str | None:
    if any(kind == "name" and text.lower() == "or" for kind, text in block):
        return "alternatives inside braces"
    carried = {
        (_unquoted(block[i - 2]), _unquoted(block[i]))
        for i in range(2, len(block))
        if block[i - 1][1] == "=" and block[i][0] == "string"
    }
    for label, value in matchers:
        if (label, value) not in carried:
            return f'a selector without {label}="{value}"'
    return None


def _unquoted(token: Token) -> str | None:
    """What a string or a name means; None where an escape would have to be understood first."""
    kind, text = token
    if kind != "string":
        return text
    return None if "\\" in text and text[0] != "`" else text[1:-1]
