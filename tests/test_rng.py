"""Named streams: a number depends on seed, name, replication and draw, however it is asked for; rows are independent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, pairwise
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.rng import STRIDE, Stream, Streams

N_DRAWS, N_REPLICATIONS = 40, 300
TABLE = np.array([Stream(3, "name").numbers(draw, 0, N_REPLICATIONS) for draw in range(N_DRAWS)])


@settings(deadline=None)
@given(data=st.data())
def test_numbers_are_the_same_however_they_are_asked_for(data: st.DataObject) -> None:
    """One by one, in windows of any size, in any order, from one stream."""
    stream = Stream(3, "name")
    for _ in range(data.draw(st.integers(1, 20))):
        draw, start = data.draw(st.integers(0, N_DRAWS - 1)), data.draw(st.integers(0, N_REPLICATIONS - 1))
        if data.draw(st.booleans()):
            stop = data.draw(st.integers(start + 1, N_REPLICATIONS))
            np.testing.assert_array_equal(stream.numbers(draw, start, stop), TABLE[draw, start:stop])
        else:
            assert stream.number(draw, start) == TABLE[draw, start]


def test_a_replication_draws_down_its_column() -> None:
    """Also behind the rows of which numbers are kept, and far behind the first replications."""
    draws = Streams(3).replication(7).scope("na")("me")
    assert Streams(3).replication(7)("name").uniform() == TABLE[0, 7] != draws.uniform()
    again = Streams(3).replication(7)("name")
    assert [again.uniform() for _ in range(N_DRAWS)] == TABLE[:, 7].tolist()
    far = Streams(3).replication(10**9)("name").uniform()
    assert far == Stream(3, "name").numbers(0, 10**9 - 5, 10**9 + 5)[5]


@settings(deadline=None)
@given(is_drawn=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), max_size=12))
def test_replications_that_draw_at_different_times(is_drawn: list[list[bool]]) -> None:
    """In a batch each replication goes on where it is."""
    batch, n_drawn = Streams(3).batch(11, 17)("name"), [0] * 6
    for some in is_drawn:
        found = batch.uniforms(np.array(some))
        for index in np.flatnonzero(some).tolist():
            assert found[index] == TABLE[n_drawn[index], 11 + index]
            n_drawn[index] += 1


def test_names_and_seeds_tell_streams_apart() -> None:
    columns = [Streams(seed).stream(name).numbers(0, 0, 50).tolist() for seed in (1, 2) for name in ("a", "b")]
    assert len({number for column in columns for number in column}) == 200


def test_threads_may_share_a_stream() -> None:
    """Workers of a Dask process do."""
    stream = Stream(3, "name")

    def rows(_: int) -> bool:
        return all(np.array_equal(stream.numbers(draw, 0, N_REPLICATIONS), TABLE[draw]) for draw in range(N_DRAWS))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(rows, range(40)))


@pytest.mark.parametrize("n", [10, 1000, 50_000])
def test_no_row_runs_into_another(n: int) -> None:
    """Of n rows any two begin at least 2^128 / (sqrt(5) n) apart on the circle."""
    begins = sorted(draw * STRIDE % 2**128 for draw in range(n))
    gaps = [after - before for before, after in pairwise([*begins, begins[0] + 2**128])]
    assert min(gaps) >= 2**128 / (sqrt(5) * n)


def test_rows_are_independent() -> None:
    """200,000 pairs of uniforms, from rows near and far apart (also by powers of two) and from neighbours in a row.

    Correlations are below 4 standard errors, and 16 x 16 cells are filled evenly: chi-square, 255 degrees of freedom, is below 377
    with probability 1 - 1e-6. Rows that begin 2^96 or 2^120 places apart come to 822 and 1,879, and to 13 and 20 standard errors.
    """
    n = 200_000
    stream = Stream(1, "rows")
    rows = [stream.numbers(draw, 0, n + 1) for draw in (0, 1, 2, 3, 64, 1024, 2**20)]
    pairs = [(one[:-1], other[:-1]) for one, other in combinations(rows, 2)]
    pairs += [(row[:-1], row[1:]) for row in rows]
    for one, other in pairs:
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / sqrt(n)
        counts = np.histogram2d(one, other, bins=16, range=[[0, 1], [0, 1]])[0]
        assert ((counts - n / 256) ** 2 / (n / 256)).sum() < 377
