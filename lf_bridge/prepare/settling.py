"""What concerns all conversations together: the quarantine's limit, duplicates, the split and its leak check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare.formats.columns import AGENT, CUSTOMER
from lf_bridge.prepare.formats.files import Options
from lf_bridge.prepare.parts import OF_CONVERSATIONS, PartResult
from lf_bridge.prepare.quality import duplicates, split
from lf_bridge.prepare.reading import Reading
from lf_bridge.prepare.records import Conversations
from lf_bridge.prepare.streams import read_stream
from lf_bridge.prepare.threads import Numbers, numbers
from lf_bridge.recipe.model import Data
from lf_bridge.recipe.preparing import PrepareSettings

_SHOWN = 10


@dataclass(frozen=True)
class Plan:
    """What step one is asked to do, beside the files.

    ``identity`` is its key, ``before`` the dataset that a later export is added to, ``allowed`` the hashes of findings
    that are none, ``strict`` whether a record that cannot be read refuses them all.
    """

    data: Data
    settings: PrepareSettings
    options: Options
    identity: str
    key: bytes
    before: Conversations | None = None
    allowed: frozenset[str] = frozenset()
    strict: bool = False


@dataclass(frozen=True)
class Fate:
    """What becomes of each conversation of all parts, one after the other."""

    reason: Numbers
    turns: Numbers
    validation: Numbers
    warnings: tuple[str, ...]


def decide_fates(results: Sequence[PartResult], reading: Reading, plan: Plan, work: Path) -> Fate:
    """Drop duplicates, split, and check for leaks and the quarantine's limit."""
    reason, turns = (np.concatenate([getattr(result, name) for result in results]) for name in ("reason", "turns"))
    _check_quarantine(results, turns, reading, plan)
    alive = np.flatnonzero(turns)
    everyone = pa.concat_tables([result.units for result in results])
    threads, people = numbers(everyone, "thread"), numbers(everyone, "customer")
    customers = np.where(people > 0, people, threads)[alive]
    known = np.concatenate([result.known for result in results])
    known = (known & _were_kept(plan.before, everyone["name"]))[alive]
    saved = [work / f"fingerprints-{result.number}" for result in results]
    prints = [duplicates.join_saved(saved, work / "fingerprints")]
    found = duplicates.find(prints, known, plan.settings.duplicates)
    words = [OF_CONVERSATIONS.index(_DUPLICATES.get(word, "")) for word in duplicates.REASONS]
    reason[alive] = np.array(words, np.int8)[found.reason]
    left = np.flatnonzero(found.reason == 0)
    if len(left) < 2:
        raise _too_few(len(left), reason, results, reading)
    sides = _known_sides(plan.before, customers[left])
    place = np.minimum(np.searchsorted(left, found.twin[left]), len(left) - 1)
    done = split.assign(
        customers[left],
        np.where(left[place] == found.twin[left], place, np.arange(len(left))),
        numbers(everyone, "time")[alive][left],
        sides,
        plan.data.validation_fraction,
        plan.data.split_seed,
        plan.settings.split.by,
    )
    if not all((done.side == side).any() for side in (split.TRAIN, split.VALIDATION)):
        raise LfbError(
            f"all {len(left)} conversations are of one customer or say the same, so none can be held out",
            hint="give logs of at least 2 customers",
        )
    reason[alive[left[done.dropped]]] = OF_CONVERSATIONS.index("twin_across_split")
    side = np.full(len(alive), -1, np.int8)
    side[left] = done.side
    validation = np.zeros(len(reason), bool)
    if plan.settings.split.leak_check:
        _check_leaks(side, prints, plan, reason, alive)
    turns[reason > 0] = 0
    validation[alive] = side == split.VALIDATION
    held_out = side[side >= 0] == split.VALIDATION
    return Fate(reason, turns, validation, _split_warnings(held_out, plan))


_DUPLICATES = {"exact": "exact_duplicate", "near": "near_duplicate", "template_capped": "template_capped"}


def _check_leaks(
    side: Numbers, prints: Sequence[duplicates.Fingerprints], plan: Plan, reason: Numbers, alive: Numbers
) -> None:
    """Drop held-out newcomers that have a twin in the training split; raise ``LfbError`` where one is left."""
    similarity = plan.settings.duplicates.near_similarity
    leaking = split.leaking(side, prints, similarity)
    if not leaking.any():
        return
    side[leaking] = -1
    reason[alive[leaking]] = OF_CONVERSATIONS.index("twin_across_split")
    left = split.find_leaks(side, prints, similarity)
    if left or not (side == split.VALIDATION).any():
        raise LfbError(
            f"{left or int(leaking.sum())} held-out conversations have a twin in the training split",
            hint="turn the duplicate rules on in prepare.yaml, or give another `data.split_seed`",
        )


def _split_warnings(held_out: Numbers, plan: Plan) -> tuple[str, ...]:
    fraction = plan.data.validation_fraction
    if len(held_out) >= 20 and not 0.3 < held_out.sum() / (fraction * len(held_out)) < 3:
        warning = (
            f"{held_out.sum()} of {len(held_out)} conversations are held out, not {fraction:.0%}: "
            "a few customers have most of them; another `data.split_seed` splits them otherwise"
        )
        return (warning,)
    return ()


def _known_sides(before: Conversations | None, customers: Numbers) -> Numbers:
    """For each conversation the side that its customer is on already: 0 train, 1 validation, -1 nobody knows him."""
    sides = np.full(len(customers), -1, np.int8)
    if before:
        people = read_stream(before.folder / before.people)
        known, side = numbers(people, "customer"), numbers(people, "validation").astype(np.int8)
        place = np.minimum(np.searchsorted(known, customers), len(known) - 1)
        sides = np.where(known[place] == customers, side[place], -1).astype(np.int8)
    return sides


def _were_kept(before: Conversations | None, names: pa.ChunkedArray) -> Numbers:
    """Which conversations the dataset holds: its store also has those that it dropped."""
    if before is None:
        return np.zeros(len(names), bool)
    kept = [read_stream(before.folder / before.turns, offset)["conversation"].unique() for offset in before.turns_at]
    return np.asarray(pc.is_in(names, pa.chunked_array(kept)))


def findings_of(results: Sequence[PartResult]) -> list[tuple[str, int]]:
    """(reason, conversation's place among all) of each finding, one a conversation and reason."""
    found, first = set(), 0
    for result in results:
        found |= {(reason, first + unit) for unit, reason, _ in result.findings}
        first += len(result.reason)
    return sorted(found)


def _check_quarantine(results: Sequence[PartResult], turns: Numbers, reading: Reading, plan: Plan) -> None:
    set_aside = len({place for _, place in findings_of(results)})
    whole = set_aside + int((turns > 0).sum())
    if not set_aside or set_aside <= plan.settings.quarantine.limit * whole:
        return
    faults: list[Fault] = []
    for result in results:
        for unit, reason, finding in result.findings[: _SHOWN - len(faults)]:
            faults.append(Fault(f"conversation {result.units['name'][unit].as_py()}", f"{reason}, finding {finding}"))
    raise LfbError(
        f"{set_aside} of {whole} conversations still hold personal data, and {plan.settings.quarantine.limit:.1%} are "
        "the limit",
        faults=faults,
        hint="look at them with `lfb inspect`; the company's own go under `privacy.allow` in prepare.yaml, "
        "a false one is accepted with `--allow-finding HASH`",
    )


def _too_few(count: int, reason: Numbers, results: Sequence[PartResult], reading: Reading) -> LfbError:
    messages: Counter[str] = Counter()
    for result in results:
        messages.update(result.unused)
    faults = [Fault(name, f"{number} messages dropped") for name, number in sorted(messages.items())]
    dropped = count_dropped(reason)
    faults += [Fault(name, f"{number} conversations dropped") for name, number in dropped.items()]
    hint = "give more conversations in which an agent answers a customer"
    if dropped:
        hint += "; docs/prepare.md says what each rule drops and how to switch it off"
    elif "unknown_role" in messages:
        hint = (
            f"customers are called {', '.join(sorted(CUSTOMER)[:8])}, ...; agents {', '.join(sorted(AGENT)[:6])}, ..."
        )
    return LfbError(
        f"{sum(file.read for file in reading.files)} messages make {count} usable conversations, and 2 are the least",
        faults=faults,
        hint=hint,
    )


def count_dropped(reason: Numbers) -> dict[str, int]:
    """How many conversations are dropped, by reason."""
    counts = np.bincount(reason, minlength=len(OF_CONVERSATIONS))
    return {word: int(count) for word, count in zip(OF_CONVERSATIONS[1:], counts[1:], strict=True) if count}


def count_duplicates(reason: Numbers) -> dict[str, int]:
    """How many of them say the same again: exact, near, template_capped."""
    dropped = count_dropped(reason)
    return {name: dropped.get(word, 0) for name, word in _DUPLICATES.items()}
