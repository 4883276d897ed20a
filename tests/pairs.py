"""All pairs of settings in few cases."""

import itertools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

Case = dict[str, Hashable]


def covering(factors: Mapping[str, Sequence[Hashable]]) -> list[Case]:
    """Cases such that any two values of any two factors meet in one of them. Greedy, and always the same."""
    names = sorted(factors, key=lambda name: -len(factors[name]))  # those with most values decide most
    open_ = dict.fromkeys(
        ((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in factors[a] for y in factors[b]
    )
    used: Counter = Counter()
    cases = []
    while open_:
        case: Case = dict(next(iter(open_)))
        for name in names:
            if name not in case:  # what meets most that is new, and of several such values the rarest so far
                met = {value: len(open_.keys() & _pairs({**case, name: value}, names)) for value in factors[name]}
                case[name] = max(met, key=lambda value: (met[value], -used[name, value]))
        for pair in _pairs(case, names):
            open_.pop(pair, None)
        used.update(case.items())
        cases.append({name: case[name] for name in factors})
    return cases


def product(factors: Mapping[str, Sequence[Hashable]]) -> list[Case]:
    return [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]


def _pairs(case: Case, names: Sequence[str]) -> set[tuple]:
    present = [(name, case[name]) for name in names if name in case]
    return set(itertools.combinations(present, 2))
