from tests.pairs import covering, product

FACTORS = {"a": (0, 1, 2, 3), "b": ("x", "y", "z"), "c": (True, False), "d": (1.0, 2.0)}


def meetings(cases):
    return {(a, case[a], b, case[b]) for case in cases for a in case for b in case if a < b}


def test_every_two_values_meet():
    assert meetings(covering(FACTORS)) == meetings(product(FACTORS))


def test_covering_takes_hardly_more_cases_than_the_two_largest_factors_need():
    assert 12 <= len(covering(FACTORS)) <= 14


def test_covering_is_always_the_same():
    assert covering(FACTORS) == covering(dict(FACTORS))


def test_product_is_every_combination_once():
    assert len(product(FACTORS)) == len({tuple(case.items()) for case in product(FACTORS)}) == 4 * 3 * 2 * 2
