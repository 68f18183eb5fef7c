"""Which variant, and which address of it, takes the next request.

Rule: pure. The counts and the random number are handed in.
"""

from collections.abc import Sequence

from windtunnel.core import limits


def choose_by_weight(weights: Sequence[float], point: float) -> int:
    """Return the index whose share of the weights holds `point`, a number in [0, 1).

    A variant's share of the traffic is its weight over the sum of the weights (SageMaker,
    "ProductionVariant.InitialVariantWeight"); weights that are all zero share evenly.
    """
    total = sum(weights)
    if total <= 0:
        return int(point * len(weights))
    mark = point * total
    for index, weight in enumerate(weights):
        mark -= weight
        if mark < 0:
            return index
    # Rounding may leave a speck behind the last positive weight.
    return max(index for index, weight in enumerate(weights) if weight > 0)


def choose_least_outstanding(outstanding: Sequence[int], start: int) -> int:
    """Return the index with the fewest requests in flight, looking from `start` round.

    `start` moves on with each request, so that equals take turns instead of the first winning.
    """
    count = len(outstanding)
    best = start % count
    fewest = outstanding[best]
    for step in range(1, count):
        if fewest == 0:
            break
        index = (start + step) % count
        if outstanding[index] < fewest:
            best = index
            fewest = outstanding[index]
    return best


def choose_holder(outstanding: Sequence[int], holds: Sequence[bool], start: int) -> int:
    """Return the instance that a model's next request goes to.

    One that holds the model, the least busy of them: another would have to load it first. Only
    when all of them are busy, and another is much less so, that one loads it, too.
    """
    least = choose_least_outstanding(outstanding, start)
    holders = [index for index, does_hold in enumerate(holds) if does_hold]
    if not holders:
        return least
    best = holders[choose_least_outstanding([outstanding[index] for index in holders], start)]
    is_busy = outstanding[best] >= limits.MODEL_HOLDER_OUTSTANDING_MAX
    return least if is_busy and 2 * outstanding[least] < outstanding[best] else best
