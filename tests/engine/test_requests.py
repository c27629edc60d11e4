"""Records of requests by column: the same records, in less memory."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgesim.domain.columns import OUTCOMES
from edgesim.domain.records import RequestRecord
from edgesim.engine.events.requests import RequestTable

times = st.floats(0.0, 1e6)
records = st.builds(
    RequestRecord,
    times,
    times | st.just(nan),
    st.sampled_from(OUTCOMES),
    st.integers(0, 2**80),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    times,
    st.lists(st.tuples(st.integers(0, 70), st.floats(0.1, 0.9)), max_size=2).map(tuple),
    st.integers(0, 9),
    st.integers(0, 3),
)


def known(record: RequestRecord) -> tuple[object, ...]:
    return tuple("NaN" if isinstance(value, float) and isnan(value) else value for value in record)


@given(st.lists(records, max_size=6), st.integers(-6, 6), st.integers(-6, 6))
def test_a_table_has_the_records_that_it_is_made_of(given_records: list[RequestRecord], start: int, stop: int) -> None:
    table = RequestTable.of(given_records)
    assert list(map(known, table)) == list(map(known, given_records))
    assert list(map(known, table[start:stop])) == list(map(known, given_records[start:stop]))
    assert [known(table[index]) for index in range(-len(table), len(table))] == list(map(known, 2 * given_records))
    assert table.lost(np.arange(len(table))) == [one.lost for one in given_records]
    assert table == given_records
    assert table == RequestTable.of(given_records[::-1])[::-1]
    assert table.is_answered.tolist() == [one.outcome in {"completed", "degraded"} for one in given_records]


@given(st.lists(records, min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 10))
def test_tables_differ_where_a_value_does(given_records: list[RequestRecord], place: int, field: int) -> None:
    place %= len(given_records)
    name = RequestRecord._fields[field]
    one = given_records[place]
    other: object = {"outcome": OUTCOMES[OUTCOMES.index(one.outcome) - 1], "partial": (*one.partial, (99, 0.5))}.get(
        name
    )
    changed = one._replace(**{name: getattr(one, name) + 1 if other is None else other})
    if name == "latency_s" and isnan(one.latency_s):
        changed = one._replace(latency_s=1.0)
    assert RequestTable.of(given_records) != [*given_records[:place], changed, *given_records[place + 1 :]]
    assert RequestTable.of(given_records) != given_records[1:]


def test_a_request_takes_70_byte() -> None:
    n = 10_000
    table = RequestTable.of([RequestRecord(0.0, 1.0, "completed", 0, 1, 2, 3, 4.0)] * n)
    names = (
        "released_s",
        "latency_s",
        "outcome",
        "pattern",
        "input_byte",
        "intermediate_byte",
        "result_byte",
        "energy_j",
        "n_retransmitted",
        "plan",
    )
    assert sum(getattr(table, name).nbytes for name in names) <= 70 * n
