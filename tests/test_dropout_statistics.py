"""Dropout's mask as a sample of independent draws, the seeds it comes from, its order with batch norm, and refusals.

All seeds are fixed: a statistical test that passes once passes always, and the probability given with it is that a
sound generator would have failed it at that seed.
"""

import numpy as np
import pytest

import fastnorm

SHARES = [1e-3, 0.05, 0.1, 0.5, 0.9, 0.999]


def draw(shape, p=0.5, seed=0):
    return fastnorm.dropout(np.ones(shape, np.float32), p, rng=seed, return_mask=True)[1]


def limit(degrees):
    """What a chi-square variable of so many degrees of freedom exceeds with probability 1e-6 (Wilson and Hilferty)."""
    part = 2 / (9 * degrees)
    return degrees * (1 - part + 4.7534 * part**0.5) ** 3


def chi_square(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("p", SHARES)
def test_share_of_zeros(p):
    """Within 5 standard deviations: fails with probability 6e-7 for each."""
    n = 2_000_000
    zeros = n - int(draw(n, p).sum())
    assert abs(zeros - n * p) < 5 * (n * p * (1 - p)) ** 0.5


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_share_of_zeros_in_every_lane_and_word(p):
    """Each of the 64 places of a group: chi-square of 64 degrees, probability 1e-6."""
    mask = draw((30_000, 64), p)
    zeros = (~mask).sum(axis=0)
    spread = 30_000 * p * (1 - p)
    assert ((zeros - 30_000 * p) ** 2 / spread).sum() < limit(64)


@pytest.mark.parametrize("distance", [1, 2, 7, 8, 15, 16, 17, 32, 48, 63, 64, 65, 128, 1000, 4096])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_elements_at_a_distance_are_independent(distance, p):
    """Neighbours, lanes, words, groups and rows: both, one, the other or none of two are kept; probability 1e-6."""
    mask = draw(1_000_000, p)
    n = (mask.size - distance) // (2 * distance) * distance
    pairs = mask[: 2 * n].reshape(-1, 2, distance)  # no element is in two pairs
    cell = 2 * pairs[:, 0] + pairs[:, 1]
    share = np.array([p, 1 - p])
    expected = np.outer(share, share).ravel() * cell.size
    assert chi_square(np.bincount(cell.ravel(), minlength=4), expected) < limit(3)


def test_patterns_of_twelve_neighbours():
    """All 4096 equally often: probability 1e-6."""
    mask = draw((500_000, 12))
    pattern = mask @ (1 << np.arange(12))
    assert chi_square(np.bincount(pattern, minlength=4096), 500_000 / 4096) < limit(4095)


def test_lengths_of_runs():
    """Runs of dropped elements are of length k with probability p^(k - 1) (1 - p); probability 1e-6."""
    p = 0.5
    edges = np.flatnonzero(np.diff(draw(1_000_000, p).astype(np.int8)))
    runs = np.diff(edges)[::2]
    longest = 12
    counts = np.bincount(np.minimum(runs, longest), minlength=longest + 1)[1:]
    share = np.append(p ** np.arange(longest - 1) * (1 - p), p ** (longest - 1))
    assert chi_square(counts, share * runs.size) < limit(longest - 1)


@pytest.mark.parametrize("seeds", [(0, 1), (1, 2), (0, 2**32), (0, 2**64), (5, 5 + 2**63)])
def test_seeds_give_independent_masks(seeds):
    """Both, one, the other or none keep an element; probability 1e-6."""
    a, b = (draw(1_000_000, 0.5, seed) for seed in seeds)
    assert chi_square(np.bincount(2 * a + b, minlength=4), 250_000) < limit(3)


def test_expectation_stays():
    """The mean of results within 5 standard deviations of x: probability 6e-7."""
    n, p = 2_000_000, 0.3
    y = fastnorm.dropout(np.full(n, 3.0), p, rng=1)
    assert abs(y.mean() - 3) < 5 * 3 * (p / (1 - p) / n) ** 0.5


# --- seeds ---


def test_none_draws_anew_and_an_int_does_not():
    x = np.ones(200, np.float32)
    assert not np.array_equal(fastnorm.dropout(x), fastnorm.dropout(x))
    np.testing.assert_array_equal(fastnorm.dropout(x, rng=7), fastnorm.dropout(x, rng=7))
    assert not np.array_equal(fastnorm.dropout(x, rng=7), fastnorm.dropout(x, rng=8))


@pytest.mark.parametrize(
    "make",
    [
        np.random.default_rng,
        np.random.PCG64,
        np.random.SeedSequence,
        lambda seed: np.random.Generator(np.random.PCG64(seed)),
        np.int64,
        lambda seed: [seed],
    ],
)
def test_what_default_rng_takes_gives_what_it_gives(make):
    x = np.ones(200, np.float32)
    np.testing.assert_array_equal(fastnorm.dropout(x, rng=make(7)), fastnorm.dropout(x, rng=7))


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_other_generators(bits):
    x = np.ones(200, np.float32)
    np.testing.assert_array_equal(fastnorm.dropout(x, rng=bits(7)), fastnorm.dropout(x, rng=bits(7)))


@pytest.mark.parametrize("options", [{}, {"p": 0}, {"p": 1}, {"p": 0.1, "return_mask": True}])
@pytest.mark.parametrize("n", [0, 1, 1000])
def test_a_generator_is_drawn_from_once(options, n):
    rng, other = np.random.default_rng(3), np.random.default_rng(3)
    fastnorm.dropout(np.ones(n), rng=rng, **options)
    other.integers(2**64, dtype=np.uint64)
    assert rng.bit_generator.state == other.bit_generator.state


def test_calls_share_a_generator_and_differ():
    rng, x = np.random.default_rng(3), np.ones(200)
    assert not np.array_equal(fastnorm.dropout(x, rng=rng), fastnorm.dropout(x, rng=rng))


def test_a_generator_is_left_alone_by_inference_and_refusals():
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    fastnorm.dropout(np.ones(5), training=False, rng=rng)
    with pytest.raises(ValueError, match="out has shape"):
        fastnorm.dropout(np.ones(5), rng=rng, out=np.ones(4))
    with pytest.raises(ValueError, match="p is 2"):
        fastnorm.dropout(np.ones(5), 2, rng=rng)
    assert rng.bit_generator.state == before


# --- the order with batch norm (Li et al. 2018) ---


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (2.0, 1.0), (-1.0, 3.0)])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_before_batch_norm_shifts_the_variance(mean, deviation, p):
    """What batch norm learns in training is (v + mean²) / (1 - p) - mean², and what it meets later is v."""
    samples, channels = 200_000, 3
    x = np.random.default_rng(0).normal(mean, deviation, (samples, channels)).astype(np.float32)

    def learn(batch):
        running = np.zeros(channels), np.ones(channels)
        fastnorm.batch_norm(batch, *running, training=True, momentum=1.0)
        return running

    def later(batch, running):
        return fastnorm.batch_norm(batch, *running, eps=0.0).var(axis=0)

    v = deviation**2
    shifted = (v + mean**2) / (1 - p) - mean**2
    _, running_var = running = learn(fastnorm.dropout(x, p, rng=1))
    np.testing.assert_allclose(running_var, shifted, rtol=0.03)
    assert (running_var > 1.05 * v).all()
    # So the output of batch norm, 1 in training, is off by the factor of the paper when nothing is dropped any more.
    np.testing.assert_allclose(later(fastnorm.dropout(x, p, training=False), running), v / shifted, rtol=0.03)

    # The other way round it learns the variance that it meets.
    running = learn(x)
    np.testing.assert_allclose(running[1], v, rtol=0.03)
    np.testing.assert_allclose(later(x, running), 1.0, rtol=1e-4)


# --- refusals ---


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"p": float("nan")}, ValueError, "p is nan, expected a number from 0 to 1"),
        ({"p": -0.1}, ValueError, r"p is -0\.1, expected a number from 0 to 1"),
        ({"p": 1.0000001}, ValueError, r"p is 1\.0000001, expected a number from 0 to 1"),
        ({"p": float("inf"), "training": False}, ValueError, "p is inf"),
        ({"p": True}, TypeError, "p is True, expected a number from 0 to 1"),
        ({"p": np.False_}, TypeError, "expected a number from 0 to 1"),
        ({"p": "0.5"}, TypeError, "p is '0.5', expected a number"),
        ({"p": None}, TypeError, "p is None, expected a number"),
        ({"p": [0.1, 0.2]}, TypeError, "expected a number"),
        ({"p": 0.5j}, TypeError, "expected a number"),
        ({"training": "no"}, TypeError, "training is 'no', expected a bool"),
        ({"return_mask": 1}, TypeError, "return_mask is 1, expected a bool"),
        ({"rng": -1}, ValueError, "rng is -1, expected None, an int >= 0"),
        ({"rng": "seed"}, TypeError, "rng is 'seed', expected None, an int >= 0"),
        ({"rng": 0.5}, TypeError, r"rng is 0\.5, expected None, an int >= 0"),
        ({"x": np.ones(3, complex)}, TypeError, "x has dtype complex128"),
        ({"x": np.ma.ones(3)}, TypeError, "x is a masked array"),
        ({"x": np.ones(4)}, ValueError, r"out has shape \(3,\), expected \(4,\)"),
        ({"out": np.ones(3, np.int32)}, TypeError, "out has dtype int32"),
        ({"out": [1.0, 2.0, 3.0]}, TypeError, "out has type list"),
    ],
)
def test_refusals_name_the_argument_and_write_nothing(arguments, error, message):
    out = np.full(3, 7.0)
    call = {"x": np.ones(3), "out": out, **arguments}
    with pytest.raises(error, match=message):
        fastnorm.dropout(call.pop("x"), **call)
    assert (out == 7).all()


def test_read_only_out_is_refused():
    out = np.ones(3)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        fastnorm.dropout(np.ones(3), out=out)
