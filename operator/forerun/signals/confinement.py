"""Whether a PromQL query keeps to what its MetricsSource lets it see. Pure."""

import re
from collections.abc import Sequence

_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
    r"""|(?P<name>[A-Za-z_:][A-Za-z0-9_:.]*)|(?P<number>[0-9][0-9A-Za-z_.]*)|(?P<space>\s+)|(?P<sign>=~|!=|!~|.)""",
    re.DOTALL,
)
_LABEL_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_CLOSING_SIGNS = {"{": "}", "[": "]"}
_WORDS = {"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan", *_LABEL_LISTS}

Token = tuple[str, str]  # (kind, text)


def unconfined(query: str, matchers: Sequence[tuple[str, str]]) -> str | None:
    """What in `query` could read beyond the enforced `matchers`; None where every selector carries each of them.

    A matcher is carried as `label="value"` inside the selector's own braces. What cannot be told is unconfined:
    comments, a bare metric name, alternatives inside braces.
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


def _finding(tokens: Sequence[Token], index: int, matchers: Sequence[tuple[str, str]]) -> str | None:
    """What is unconfined in the part of the query that begins at `index`."""
    kind, text = tokens[index]
    if text == "#":
        return "a comment"
    if text == "{":
        return _missing(tokens[index + 1 : _last_of(tokens, index)], matchers)
    if kind == "name" and not _is_harmless(text, _text_at(tokens, index + 1)):
        return f"{text} without matchers"
    return None


def _last_of(tokens: Sequence[Token], index: int) -> int:
    """Where the part that begins at `index` ends: a selector, a range, a list of labels, else one token."""
    kind, text = tokens[index]
    if text in _CLOSING_SIGNS:
        return _closing(tokens, index, _CLOSING_SIGNS[text])
    if kind == "name" and text.lower() in _LABEL_LISTS and _text_at(tokens, index + 1) == "(":
        return _closing(tokens, index + 1, ")")
    return index


def _text_at(tokens: Sequence[Token], index: int) -> str:
    return tokens[index][1] if index < len(tokens) else ""


def _is_harmless(name: str, following: str) -> bool:
    """A function, a keyword, or a metric whose braces are looked at next."""
    return following in {"(", "{"} or name.lower() in _WORDS or following.lower() in {"by", "without"}


def _closing(tokens: Sequence[Token], start: int, sign: str) -> int:
    for index in range(start, len(tokens)):
        if tokens[index] == ("sign", sign):
            return index
    return len(tokens)


def _missing(block: Sequence[Token], matchers: Sequence[tuple[str, str]]) -> str | None:
    if any(kind == "name" and text.lower() == "or" for kind, text in block):
        return "alternatives inside braces"
    carried = {
        (block[i - 2][1].strip("\"'`"), block[i][1][1:-1])
        for i in range(2, len(block))
        if block[i - 1][1] == "=" and block[i][0] == "string"
    }
    for label, value in matchers:
        if (label, value) not in carried:
            return f'a selector without {label}="{value}"'
    return None
