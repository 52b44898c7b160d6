"""All rules together: settings, and rules that are switched off."""

from __future__ import annotations

import pytest

from lsp_server import reasons
from lsp_server.postprocess.shape import RULES, View
from tests.postprocess.places import shaper
from tests.postprocess.test_golden import CASES


def test_lines_are_limited() -> None:
    """No more lines than the setting allows."""
    raw = "".join(f"a{i} = {i}\n    " for i in range(20))
    view = shaper("def f():\n    ‸\n", max_lines=3).view(raw, final=False)
    assert view == View(text="a0 = 0\n    a1 = 1\n    a2 = 2", stop="max_lines", n_raw=28)


def test_without_rules_all_is_shown() -> None:
    """Each rule can be left out; without any, only blanks at the end are."""
    raw = "```\n    x = = 1)\n    x = = 1)\n    return y\nHere is\u200b it\n\n"
    view = shaper("def f():\n    ‸\n    return y\n", rules=frozenset()).view(raw, final=True)
    assert view == View(text=raw.rstrip(), stop="", n_raw=len(raw.rstrip()))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_needed(rule: str) -> None:
    """There is a golden case that comes out differently without the rule."""
    without = frozenset(RULES) - {rule}
    for case in CASES:
        language, raw = case.get("language", "python"), case["raw"]
        view = shaper(case["text"], language, rules=without).view(raw, final=True)
        if view.text != case["shown"]:
            return
    pytest.fail(f"no case needs {rule}")


def test_every_stop_has_a_reason() -> None:
    """What takes all of a text away in a golden case is explained to the user."""
    stops = {case["stop"] for case in CASES if not case["shown"] and case["stop"]}
    assert len(stops) >= 9
    for stop in stops:
        text = reasons.explain(f"filtered_{stop}").text
        assert "A filter took all of it away" not in text, stop
