"""Settings under which nothing is dropped for what it says: for tests of threading, repair and the ledger."""

from __future__ import annotations

from lf_bridge.recipe.preparing import Cleaning, Duplicates, PrepareSettings, Privacy, Quality

PLAIN = PrepareSettings(
    cleaning=Cleaning(html=False, quoted_replies=False, signatures=False, unicode=False, noise=False),
    privacy=Privacy(replace="off"),
    quality=Quality(
        too_short="off",
        too_long="off",
        deflection="off",
        abusive_agent="off",
        unresolved="off",
        badly_rated="off",
        ungrounded="off",
    ),
    duplicates=Duplicates(exact="off", near="off", template_cap=0),
)
