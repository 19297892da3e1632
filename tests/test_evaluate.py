"""What may be said of a difference: conversations are drawn, not turns."""

from __future__ import annotations

import pytest

from lf_bridge.evaluate.loss import paired_change


def test_a_difference_is_per_token_and_paired() -> None:
    change = paired_change([10.0, 20.0, 30.0], [9.0, 18.0, 27.0], [1, 2, 3], [0, 1, 2])
    assert change.mean == pytest.approx(-1.0)
    assert change.low == pytest.approx(-1.0)
    assert change.high == pytest.approx(-1.0)


def test_turns_of_one_conversation_are_drawn_together() -> None:
    """Twenty turns in two conversations are two observations: the interval reaches from one to the other."""
    before, tokens = [0.0] * 20, [1] * 20
    after = [-1.0] * 10 + [1.0] * 10
    together = paired_change(before, after, tokens, [0] * 10 + [1] * 10)
    assert (together.low, together.high) == (-1.0, 1.0)
    apart = paired_change(before, after, tokens, list(range(20)))
    assert apart.low is not None
    assert -1.0 < apart.low < 0 < (apart.high or 0) < 1.0


def test_of_one_conversation_nothing_is_said() -> None:
    assert paired_change([2.0, 2.0], [1.0, 1.0], [1, 1], [0, 0]).low is None
