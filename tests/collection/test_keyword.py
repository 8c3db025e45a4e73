from __future__ import annotations

import pytest

from smc_harness.collection.keyword import compile_keyword
from smc_harness.errors import UsageError

ID = "commonsense-mini::snip[0.488,seed0]"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("snip", True),
        ("SNIP", True),
        ("0.488", True),
        ("snip[0.488", True),
        ("arithmetic", False),
        ("not arithmetic", True),
        ("not not snip", True),
        ("snip and mini", True),
        ("snip and arithmetic", False),
        ("snip or arithmetic", True),
        ("arithmetic or lth", False),
        ("arithmetic and lth or snip", True),
        ("snip or arithmetic and lth", True),
        ("(snip or arithmetic) and lth", False),
        ("not (snip and lth)", True),
        ("not snip or mini", True),
        ("((snip))and(mini)", True),
        ("seed0 and not seed1 and not(lth or gmp)", True),
        ("andy", False),
        ("  snip  ", True),
    ],
)
def test_and_or_not_and_parentheses_bind_as_in_python(expression: str, expected: bool) -> None:
    assert compile_keyword(expression)(ID) is expected


@pytest.mark.parametrize(
    ("expression", "at"),
    [
        ("", "the end"),
        ("   ", "the end"),
        ("snip and", "the end"),
        ("not", "the end"),
        ("(snip", "the end"),
        ("and snip", "and"),
        ("snip or or mini", "or"),
        ("snip mini", "mini"),
        ("snip)", ")"),
        ("()", ")"),
        ("snip not mini", "not"),
    ],
)
def test_a_malformed_expression_is_refused_at_the_word_that_is_wrong(expression: str, at: str) -> None:
    with pytest.raises(UsageError) as caught:
        compile_keyword(expression)
    assert str(caught.value) == (
        f"-k {expression!r}: unexpected {at!r}; something like 'snip and not arithmetic' would work"
    )
