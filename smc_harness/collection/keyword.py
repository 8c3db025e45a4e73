"""`-k EXPRESSION`: substrings of the cell id, joined by and, or, not and parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable

from smc_harness.errors import UsageError

Matcher = Callable[[str], bool]

_TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")


def compile_keyword(expression: str) -> Matcher:
    """A function that says whether an id matches; case does not matter. Raises UsageError for a malformed text."""
    tokens = _TOKEN.findall(expression)
    matcher, rest = _either(tokens, expression)
    if rest:
        raise _malformed(expression, rest[0])
    return matcher


def _either(tokens: list[str], whole: str) -> tuple[Matcher, list[str]]:
    left, tokens = _both(tokens, whole)
    while tokens and tokens[0] == "or":
        right, tokens = _both(tokens[1:], whole)
        left = _join(any, left, right)
    return left, tokens


def _both(tokens: list[str], whole: str) -> tuple[Matcher, list[str]]:
    left, tokens = _one(tokens, whole)
    while tokens and tokens[0] == "and":
        right, tokens = _one(tokens[1:], whole)
        left = _join(all, left, right)
    return left, tokens


def _one(tokens: list[str], whole: str) -> tuple[Matcher, list[str]]:
    if not tokens or tokens[0] in (")", "and", "or"):
        raise _malformed(whole, tokens[0] if tokens else "the end")
    word, *rest = tokens
    if word == "not":
        inner, rest = _one(rest, whole)
        return lambda text: not inner(text), rest
    if word == "(":
        inner, rest = _either(rest, whole)
        if not rest or rest[0] != ")":
            raise _malformed(whole, rest[0] if rest else "the end")
        return inner, rest[1:]
    return lambda text: word.lower() in text.lower(), rest


def _join(how: Callable[[tuple[bool, bool]], bool], left: Matcher, right: Matcher) -> Matcher:
    return lambda text: how((left(text), right(text)))


def _malformed(expression: str, at: str) -> UsageError:
    return UsageError(f"-k {expression!r}: unexpected {at!r}; something like 'snip and not arithmetic' would work")
