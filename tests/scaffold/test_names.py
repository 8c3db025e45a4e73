from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from smc_harness.errors import UsageError
from smc_harness.scaffold.names import names


def test_distribution_and_package_follow_from_the_name() -> None:
    found = names("pruner", "my-2nd-idea")
    assert (found.distribution, found.package) == ("smc-pruner-my-2nd-idea", "smc_pruner_my_2nd_idea")


@given(st.from_regex("[a-z0-9_.-]{1,12}", fullmatch=True))
def test_a_name_that_is_taken_is_one_for_installers_and_imports(given: str) -> None:
    try:
        found = names("task", given)
    except UsageError:
        return
    assert canonicalize_name(found.distribution) == found.distribution == Requirement(found.distribution).name
    assert found.package.isidentifier()


@given(st.text(max_size=12))
def test_a_name_that_is_refused_comes_with_one_that_is_taken(given: str) -> None:
    try:
        names("pruner", given)
    except UsageError as error:
        remedy = str(error).removesuffix(", would work").rpartition("such as ")[2]
        assert names("pruner", remedy).plugin == remedy


@pytest.mark.parametrize("given", ["", "-a", "a-", "a--b", "a_b", "a.b", "A", "a b", "a\n", "é"])
def test_other_names_are_refused(given: str) -> None:
    with pytest.raises(UsageError, match="words of small letters and digits, joined by hyphens"):
        names("pruner", given)
