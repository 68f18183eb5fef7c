"""How likely so many of so many independent trials succeed: exact, and at once for any count.

The largest term of the sum is computed by Loader's formula, which keeps its digits where logarithms
of factorials lose theirs ("Fast and Accurate Computation of Binomial Probabilities", 2000); the
others follow from it by one multiplication each, until they no longer count: a few standard
deviations, 20,000 terms for 36 million trials. Pure, standard library only.
"""

import math

# Terms smaller than this share of the sum are left out; what follows them is smaller still.
_NEGLIGIBLE = 1e-17
# From here on five terms of Stirling's series are exact to a double's last digit.
_SERIES_FROM = 16
# Two numbers closer than this share of their sum: their logarithms are taken as one series.
_CLOSE = 0.1


def binomial_at_most(successes: int, count: int, probability: float) -> float:
    """Return how likely at most `successes` of `count` independent trials succeed."""
    if successes < 0:
        return 0.0
    if successes >= count:
        return 1.0
    # Of the two tails the one that does not hold the mean is summed, from its largest term
    # outwards, so that few terms are enough and none of them cancels.
    if successes <= count * probability:
        return min(1.0, _lower_tail(successes, count, probability))
    # Successes above are failures below.
    return max(0.0, 1.0 - _lower_tail(count - successes - 1, count, 1 - probability))


def _lower_tail(successes: int, count: int, probability: float) -> float:
    odds_against = (1 - probability) / probability
    term = total = _probability(successes, count, probability)
    for hits in range(successes, 0, -1):
        term *= odds_against * hits / (count - hits + 1)
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return total


def _probability(successes: int, count: int, probability: float) -> float:
    """Return how likely exactly `successes` of `count` are."""
    failures = count - successes
    if failures == 0:
        return math.exp(count * math.log(probability))
    if successes == 0:
        return math.exp(count * math.log1p(-probability))
    log = (
        _stirling_error(count)
        - _stirling_error(successes)
        - _stirling_error(failures)
        - _deviance(successes, count * probability)
        - _deviance(failures, count * (1 - probability))
    )
    return math.exp(log) * math.sqrt(count / (2 * math.pi * successes * failures))


def _stirling_error(number: int) -> float:
    """Return by how much Stirling's formula misses the logarithm of a factorial."""
    if number < _SERIES_FROM:
        stirling = (number + 0.5) * math.log(number) - number + 0.5 * math.log(2 * math.pi)
        return math.lgamma(number + 1) - stirling
    square = number * number
    series = 1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / (
        square
    )
    return series / number


def _deviance(seen: float, expected: float) -> float:
    """Return seen·log(seen/expected) + expected - seen, without cancelling where they are close."""
    if abs(seen - expected) >= _CLOSE * (seen + expected):
        return seen * math.log(seen / expected) + expected - seen
    ratio = (seen - expected) / (seen + expected)
    total = (seen - expected) * ratio
    power = 2 * seen * ratio
    for odd in range(3, 1000, 2):
        power *= ratio * ratio
        further = total + power / odd
        if further == total:
            break
        total = further
    return total
