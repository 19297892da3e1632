"""The times of a column of cells: one form for a whole file, decided on its first cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.schema import MISSING, UNREAD

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = 10_000
# Month before day: where the cells do not tell, the first of two forms is taken.
_DAYS = (
    "%m/%d/%y", "%d/%m/%y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%y", "%d-%m-%y", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%y",
    "%d.%m.%Y", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y",
)  # fmt: skip
_CLOCKS = (" %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", ", %H:%M:%S", ", %H:%M", ", %I:%M:%S %p",
           ", %I:%M %p", "")  # fmt: skip
FORMS = (
    *(day + clock for day in _DAYS for clock in _CLOCKS),
    "%Y%m%d%H%M%S",
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M:%S %z",
    "%Y年%m月%d日 %H时%M分%S秒",
)
# Microseconds in each unit in which exports count since 1970.
UNITS = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}
_EARLIEST, _LATEST = 0, 253402300800 * 1_000_000
_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_BARE = f"^{_DAY}([T ]{_CLOCK})?$"
_ZONED = f"^{_DAY}[T ]{_CLOCK}(Z| ?UTC| ?[+-]\\d\\d(:?\\d\\d)?)$"
_NO_SUCH_DAY = r"^\d{4}-(02-(29|30|31)|(04|06|09|11)-31)"


@dataclass(frozen=True)
class Times:
    """Reads cells in ``form``: ``iso`` (ISO 8601), a unit in ``UNITS`` since 1970, or a strptime form.

    ``zone`` is that of cells that name none. ``note`` says what was assumed.
    """

    form: str = "iso"
    zone: str = "UTC"
    note: str | None = None

    def read(self, cells: pa.Array) -> pa.Array:
        """Microseconds since 1970 in UTC (int64): MISSING for empty cells, UNREAD for those in no form that we know.

        A cell in another form than the file's is read where all forms that fit it agree.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = pc.utf8_trim_whitespace(cells)
        there = pc.greater(pc.binary_length(cells), 0)
        found = _parse(cells, self.form, self.zone)
        left = pc.and_(pc.is_null(found), there)
        if pc.any(left).as_py():
            odd = cells.filter(left)
            if pc.all(pc.is_in(pc.utf8_lower(odd), pa.array(["null", "none", "nan", "nat", "n/a", "-"]))).as_py():
                there = pc.and_(there, pc.invert(left))
            else:
                distinct = pc.unique(odd)
                values = self._read_odd(distinct)
                found = pc.replace_with_mask(found, left, values.take(pc.index_in(odd, distinct)))
        return pc.if_else(there, pc.fill_null(found, UNREAD), pa.scalar(MISSING, pa.int64()))

    def _read_odd(self, cells: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        cells = _normalized(cells)
        found = _parse(cells, self.form, self.zone)
        for form in ("iso", _swap(self.form)):
            if form is not None:
                found = pc.coalesce(found, _parse(cells, form, self.zone))
        left = pc.and_(pc.is_null(found), pc.match_substring_regex(cells, r"\d"))
        if not pc.any(left).as_py():
            return found
        odd = cells.filter(left)
        least = most = None
        for form in FORMS:
            values = _parse(odd, form, self.zone)
            least = values if least is None else pc.min_element_wise(least, values)
            most = values if most is None else pc.max_element_wise(most, values)
        agreed = pc.if_else(pc.equal(least, most), least, None)
        return pc.replace_with_mask(found, left, agreed)


def decide(cells: pa.Array, zone: str = "UTC") -> Times:
    """The form of a file's times, from its first cells: numbers since 1970, ISO 8601, else the form of ``FORMS`` that
    reads most of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.utf8_trim_whitespace(cells.slice(0, SAMPLE))
    cells = cells.filter(pc.greater(pc.binary_length(cells), 0))
    if not len(cells):
        return Times(zone=zone)
    numbers = pc.filter(cells, pc.match_substring_regex(cells, r"^\d+(\.\d*)?([eE][+]?\d+)?$"))
    if 2 * len(numbers) > len(cells):
        if 2 * _count(_parse(numbers, "%Y%m%d%H%M%S", zone)) > len(cells) and _all_match(numbers, r"^(19|20)\d{12}$"):
            return Times("%Y%m%d%H%M%S", zone)
        size = pc.quantile(numbers.cast(pa.float64()), 0.5)[0].as_py()
        return Times(next(unit for unit, limit in _LIMITS.items() if size < limit), zone)
    cells = _normalized(cells)
    forms = ("iso", *FORMS)
    some = pc.unique(cells).slice(0, 500)
    forms = tuple(form for form in forms if _count(_parse(some, form, zone)))
    if not forms:
        return Times(zone=zone)
    counts = {form: _count(_parse(cells, form, zone)) for form in forms}
    best = max(forms, key=lambda form: counts[form])
    notes = []
    if counts.get(_swap(best) or "") == counts[best]:
        notes.append("dates read month first; mapping.time_format says otherwise")
    others = len(cells) - counts[best]
    if others:
        notes.append(f"{others} of the first {len(cells)} times are in another form than `{best}`")
    return Times(best, zone, "; ".join(notes) or None)


_LIMITS = {"seconds": 1e11, "milliseconds": 1e14, "microseconds": 1e17, "nanoseconds": float("inf")}


def _parse(cells: pa.Array, form: str, zone: str) -> pa.Array:
    """Microseconds (int64), null where a cell is not of that form or no time from 1970 to 9999."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if form == "iso":
        found = _parse_iso(cells, zone)
    elif form in UNITS:
        gated = pc.if_else(pc.match_substring_regex(cells, r"^\d{1,20}(\.\d*)?([eE]\+?\d\d?)?$"), cells, None)
        scaled = pc.multiply(gated.cast(pa.float64()), UNITS[form])
        possible = pc.less(scaled, float(_LATEST))
        return pc.if_else(possible, pc.round(pc.if_else(possible, scaled, 0.0)), None).cast(pa.int64())
    else:
        form = form.replace(".%f", "").replace(",%f", "")
        found = pc.strptime(cells, format=form, unit="us", error_is_null=True)
        # strptime takes the thirtieth of February for the first of March.
        over = pc.and_(pc.less_equal(pc.day(found), 3), pc.match_substring_regex(cells, r"^[^:]*\b(29|30|31)\b"))
        found = _to_utc(pc.if_else(over, None, found), zone)
    return pc.if_else(pc.and_(pc.greater_equal(found, _EARLIEST), pc.less(found, _LATEST)), found, None)


def _parse_iso(cells: pa.Array, zone: str) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    found: Any = pa.nulls(len(cells), pa.int64())
    for pattern, kind in ((_BARE, pa.timestamp("us")), (_ZONED, pa.timestamp("us", "UTC"))):
        fits = pc.match_substring_regex(cells, pattern)
        if not pc.any(fits).as_py():
            continue
        gated = pc.if_else(fits, cells, None)
        if pattern is _ZONED and pc.any(pc.match_substring_regex(gated, r"C$| [+-]")).as_py():
            gated = pc.replace_substring_regex(pc.replace_substring_regex(gated, " ?UTC$", "Z"), r" ([+-])", r"\1")
        try:
            values = gated.cast(kind)
        except pa.ArrowInvalid:  # the thirtieth of February
            values = pc.if_else(pc.match_substring_regex(gated, _NO_SUCH_DAY), None, gated).cast(kind)
        found = pc.coalesce(found, _to_utc(values, zone))
    return found


def _to_utc(values: pa.Array, zone: str) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.type.tz is None and zone != "UTC":
        values = pc.assume_timezone(values, zone, ambiguous="earliest", nonexistent="latest")
    return values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())


def _normalized(cells: pa.Array) -> pa.Array:
    """Without what strptime and ISO casts cannot take: narrow spaces, digits below a microsecond, `GMT`, `p.m.`."""
    import pyarrow.compute as pc

    rules: Sequence[tuple[str, str]] = (
        (r"[\x{a0}\x{202f}\x{200e}\x{200f}]+", " "),
        (r"^(\d{4}-.*:\d\d[.,]\d{6})\d+", r"\1"),
        (r"^([^-]*:\d\d)[.,]\d+", r"\1"),
        (r"\s*(UTC|GMT|z)$", " +0000"),
        (r"\b([ap])\.\s?m\.?$", r"\1m"),
    )
    for pattern, replacement in rules:
        cells = pc.replace_substring_regex(cells, pattern, replacement)
    return pc.utf8_trim_whitespace(cells)


def _swap(form: str) -> str | None:
    """The form with day and month exchanged, where a reader could take one for the other."""
    for first, second in (("%m/%d/", "%d/%m/"), ("%m-%d-", "%d-%m-")):
        if form.startswith(first):
            return form.replace(first, second)
        if form.startswith(second):
            return form.replace(second, first)
    return None


def _count(values: pa.Array) -> int:
    return len(values) - int(values.null_count)


def _all_match(cells: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py())
