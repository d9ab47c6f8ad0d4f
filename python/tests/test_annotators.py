"""Annotators: agreement against other packages and hand-worked tables, recovery, real ratings."""

from __future__ import annotations

import math
import os

import fpo
import numpy as np
import pytest
from fpo.annotators import (
    Annotations,
    Pool,
    annotator_bradley_terry,
    cohen_kappa,
    dawid_skene,
    expected_agreement,
    fleiss_kappa,
    krippendorff_alpha,
    majority_vote,
    raw_agreement,
    soft_share,
    symmetric_noise,
)
from fpo.errors import ArgumentError, DomainError, DTypeError, ShapeError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

KEY = fpo.random.key(0)
NONE = math.nan

# Krippendorff's own example with four observers, twelve units and missing labels.
KRIPPENDORFF = (
    np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
            [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
        ]
    ).T
    - 1
)
# Values of the package krippendorff 0.8.
ALPHAS = {
    "nominal": 0.743421052631579,
    "ordinal": 0.8153875037548814,
    "interval": 0.8491071428571428,
    "ratio": 0.7974027747116121,
}
# Fleiss' example as Wikipedia has it: ten subjects, fourteen raters, five classes.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


@pytest.mark.parametrize("level", ALPHAS)
def test_krippendorff(level: str) -> None:
    labels = Annotations.from_matrix(KRIPPENDORFF)
    got = krippendorff_alpha(labels, level=level, values=[1, 2, 3, 4, 5])
    assert got == pytest.approx(ALPHAS[level], rel=1e-13)
    mirrored = Annotations.from_matrix(np.where(np.isnan(KRIPPENDORFF), -1, KRIPPENDORFF))
    assert krippendorff_alpha(mirrored, level=level, values=[1, 2, 3, 4, 5]) == got


def test_cohen() -> None:
    index = np.arange(60)
    first = (index * index + 3 * index) % 7 % 4
    second = np.where(index % 3 == 0, (first + index // 3) % 4, first)
    # statsmodels 0.15, cohens_kappa.
    golden = {"none": 0.5964125560538117, "linear": 0.5781014565544953}
    golden["quadratic"] = 0.5762132604237866
    for weights, value in golden.items():
        assert cohen_kappa(first, second, weights=weights) == pytest.approx(value, rel=1e-13)
        assert cohen_kappa([*first, -1], [*second, 2], weights=weights) == pytest.approx(value)
    # By hand: agreement 0.7, chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    yes_no = [1] * 25 + [0] * 25, [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(*yes_no) == pytest.approx(0.4)
    assert math.isnan(cohen_kappa([1, 1], [1, 1])) and math.isnan(cohen_kappa([], []))
    assert cohen_kappa([0, 1], [1, 0]) == -1
    with pytest.raises(ShapeError, match="second: expected 2 labels"):
        cohen_kappa([1, 1], [1])
    with pytest.raises(DomainError, match="weights: expected none"):
        cohen_kappa([1, 0], [1, 0], weights="cubic")
    with pytest.raises(DomainError, match="first, second: expected whole numbers"):
        cohen_kappa([0.5], [1])


def test_fleiss() -> None:
    rows = [np.repeat(np.arange(5), row) for row in FLEISS]
    labels = Annotations.from_matrix(rows)
    assert fleiss_kappa(labels) == pytest.approx(0.20993070442195522, rel=1e-13)
    assert raw_agreement(labels) == pytest.approx(0.378, abs=5e-4)
    with pytest.raises(ShapeError, match="expected the same number of labels"):
        fleiss_kappa(Annotations.from_matrix(KRIPPENDORFF))
    same = Annotations.from_matrix([[1, 1], [1, 1]])
    assert math.isnan(fleiss_kappa(same)) and math.isnan(krippendorff_alpha(same))
    assert raw_agreement(same) == 1
    assert math.isnan(raw_agreement(Annotations.from_matrix([[1, NONE]])))


TABLES = hnp.arrays(
    np.int64, st.tuples(st.integers(2, 6), st.integers(2, 4)), elements=st.integers(-1, 3)
)


@settings(deadline=None, max_examples=50)
@given(TABLES, st.sampled_from(list(ALPHAS)))
def test_alpha_by_all_pairs(table: np.ndarray, level: str) -> None:
    units = [row[row >= 0] for row in table if (row >= 0).sum() >= 2]
    got = krippendorff_alpha(Annotations.from_matrix(table, classes=4), level=level)
    together = np.concatenate(units) if units else np.empty(0, int)

    def difference(k: int, m: int) -> float:
        low, high = min(k, m), max(k, m)
        between = sum((low <= v <= high) - (v in (k, m)) / 2 for v in together)
        return {
            "nominal": float(k != m),
            "ordinal": between**2 * (k != m),
            "interval": (k - m) ** 2,
            "ratio": ((k - m) / (k + m)) ** 2 if k + m else 0.0,
        }[level]

    observed = sum(difference(a, b) / (len(u) - 1) for u in units for a in u for b in u)
    expected = sum(difference(a, b) for a in together for b in together)
    if expected == 0:
        assert math.isnan(got)
    else:
        assert got == pytest.approx(1 - (len(together) - 1) * observed / expected, abs=1e-9)


def test_agreement_as_noise() -> None:
    for agreement, noise in ((0.60, 0.276), (0.65, 0.226), (0.70, 0.184), (1, 0), (0.5, 0.5)):
        assert symmetric_noise(agreement) == pytest.approx(noise, abs=5e-4)
        rate = symmetric_noise(agreement)
        assert expected_agreement([rate, 1 - rate]) == pytest.approx(agreement)
    with pytest.raises(DomainError, match=r"agreement: expected 0\.5 to 1"):
        symmetric_noise(0.4)


def test_votes_and_shares() -> None:
    labels = Annotations.from_matrix([[1, 1, 0], [0, 1, -1], [-1, -1, -1], [1, -1, -1]])
    assert majority_vote(labels).tolist() == [1, -1, -1, 1]
    np.testing.assert_allclose(soft_share(labels)[:, 1], [2 / 3, 0.5, 0.5, 1])
    np.testing.assert_allclose(soft_share(labels, smoothing=1)[:, 1], [3 / 5, 0.5, 0.5, 2 / 3])


def plain_em(labels: Annotations, smoothing: float, rounds: int) -> tuple[np.ndarray, float]:
    """Dawid-Skene in plain loops, in probabilities instead of logarithms."""
    n, m, classes = labels.items, labels.annotators, labels.classes
    given = list(zip(labels.item, labels.annotator, labels.label, strict=True))
    T = np.zeros((n, classes))
    for i, _, said in given:
        T[i, said] += 1
    T = np.where(
        T.sum(1, keepdims=True) > 0, T / np.maximum(T.sum(1, keepdims=True), 1), 1 / classes
    )
    value = 0.0
    for _ in range(rounds):
        prior = [sum(T[i, k] for i in range(n)) / n for k in range(classes)]
        theta = np.full((m, classes, classes), smoothing)
        for i, a, said in given:
            for k in range(classes):
                theta[a, k, said] += T[i, k]
        theta /= theta.sum(2, keepdims=True)
        value = smoothing * sum(math.log(one) for one in theta.ravel())
        for i in range(n):
            joint = [
                prior[k] * math.prod(theta[a, k, said] for j, a, said in given if j == i)
                for k in range(classes)
            ]
            value += math.log(sum(joint))
            T[i] = np.array(joint) / sum(joint)
    return T, value


def test_dawid_skene_is_plain_em() -> None:
    labels = Annotations.from_matrix(KRIPPENDORFF)
    fitted = dawid_skene(labels, smoothing=0.5, max_iterations=7, tolerance=0)
    posterior, value = plain_em(labels, 0.5, 7)
    np.testing.assert_allclose(fitted.posterior, posterior, rtol=1e-10)
    assert fitted.objective[-1] == pytest.approx(value, rel=1e-12)
    assert not fitted.converged and len(fitted.objective) == 7


def test_dawid_skene_recovers_a_pool() -> None:
    accuracy = np.array([0.95, 0.9, 0.9, 0.6, 0.55, 0.55, 0.5, 0.5])
    pool = Pool.of(8, accuracy=accuracy)
    truth = np.floor(fpo.random.uniform(1, 1500) * 3).astype(int)
    labels = pool.classify(KEY, truth, 3, per_item=6)
    fitted = dawid_skene(labels)
    assert fitted.converged and (np.diff(fitted.objective) >= -1e-7).all()
    np.testing.assert_allclose(fitted.posterior.sum(axis=1), 1)
    np.testing.assert_allclose(fitted.confusion.sum(axis=2), 1)
    np.testing.assert_allclose(fitted.accuracy, accuracy, atol=0.06)
    right = (fitted.posterior.argmax(axis=1) == truth).mean()
    voted = (majority_vote(labels) == truth).mean()
    assert right > voted + 0.05 and right > 0.9
    confidence = fitted.posterior.max(axis=1)
    assert abs(confidence.mean() - right) < 0.02  # calibrated, as errors are independent here


def test_dawid_skene_edges() -> None:
    labels = Annotations.of([0, 0, 1], [0, 1, 0], [1, 1, 0], items=3, annotators=3, classes=2)
    fitted = dawid_skene(labels)
    np.testing.assert_allclose(fitted.posterior[2], fitted.prior, rtol=1e-3)  # nobody labelled it
    np.testing.assert_allclose(fitted.confusion[2], 0.5)  # labelled nothing
    assert np.isfinite(dawid_skene(labels, smoothing=0).posterior).all()
    with pytest.raises(ArgumentError, match="annotations: expected at least one label"):
        dawid_skene(Annotations.from_matrix([[NONE]], classes=2))
    with pytest.raises(DomainError, match="smoothing: expected at least 0"):
        dawid_skene(labels, smoothing=-1)


def test_annotations_are_checked() -> None:
    with pytest.raises(ShapeError, match="expected equal lengths, got 1, 2, 1"):
        Annotations.of([0], [0, 1], [0])
    with pytest.raises(DomainError, match="label: expected numbers of at least 0 and below 2"):
        Annotations.of([0], [0], [2], classes=2)
    with pytest.raises(DTypeError, match="item: expected a vector of whole numbers"):
        Annotations.of([0.5], [0], [1])
    with pytest.raises(DTypeError, match="labels: expected whole numbers"):
        Annotations.from_matrix([[0.5]])
    labels = Annotations.from_matrix(KRIPPENDORFF)
    assert len(labels.select(labels.annotator == 0)) == 9
    with pytest.raises(ShapeError, match="mask: expected 41 booleans"):
        labels.select([True])


def test_a_pool_follows_its_formula() -> None:
    pool = Pool.of(
        3,
        group=[0, 1, 0],
        reliability=[1, 2, 1],
        lapse=[0, 0.2, 1],
        bias=[[0.5], [0], [0]],
        sycophancy=[0, 1, 0],
    )
    p = pool.probability([[1, 0], [0, 3]], [[0, 0], [0, 3]], features=[[2], [0]], flattery=[0, 1])

    def sigma(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    np.testing.assert_allclose(p, [[sigma(2), 0.5, 0.5], [0.5, 0.8 * sigma(2) + 0.1, 0.5]])
    many = Pool.of(50, reliability=2.0)
    gap = fpo.random.normal(3, 400)
    made = many.compare(KEY, gap, np.zeros(400), 10)
    assert (np.bincount(made.pair) == 10).all()
    assert len(set(zip(made.pair, made.annotator, strict=True))) == 4000
    expected = many.probability(gap, np.zeros(400))[:, 0]
    assert abs(made.choice.mean() - expected.mean()) < 4 * 0.5 / math.sqrt(4000)
    # Two annotators agree as the formula says.
    agreement = raw_agreement(made.annotations(400, 50))
    assert agreement == pytest.approx(expected_agreement(expected), abs=0.03)
    again = many.compare(KEY, gap, np.zeros(400), 10)
    assert (again.choice == made.choice).all() and (again.annotator == made.annotator).all()
    labels = Pool.of(9, accuracy=0.7, lapse=0.5).classify(KEY, np.ones(2000, int), 4, 9)
    assert abs((labels.label == 1).mean() - (0.5 * 0.7 + 0.5 / 4)) < 0.015
    for arguments in ({"lapse": 2}, {"accuracy": -1}, {"reliability": -1}, {"lapse": [0, 0]}):
        with pytest.raises((DomainError, ShapeError)):
            Pool.of(3, **arguments)  # type: ignore[arg-type]
    with pytest.raises(DomainError, match="per_item: expected 1 to 3"):
        pool.compare(KEY, [1.0], [0.0], 4)


def test_groups_make_a_cycle() -> None:
    # Condorcet: three groups of equal size, a > b > c, b > c > a, c > a > b.
    utility = 10 * np.array([[2, 0, 1], [1, 2, 0], [0, 1, 2]])  # (items, groups)
    pool = Pool.of(30, group=np.arange(30) % 3)
    first, second = utility[[0, 1, 2]], utility[[1, 2, 0]]
    made = pool.compare(KEY, first, second, 30)
    assert majority_vote(made.annotations(3, 30)).tolist() == [1, 1, 1]


def test_bradley_terry_is_at_a_maximum() -> None:
    annotator, first, second = [0, 0, 1, 1, 2, 2, 2], [0, 1, 0, 2, 1, 3, 0], [1, 2, 2, 3, 3, 0, 1]
    wins = [1, 1, 0.5, 1, 0, 1, 0.25]
    fitted = annotator_bradley_terry(annotator, first, second, wins, ridge=0.3)
    assert fitted.converged and (np.diff(fitted.objective) >= 0).all()

    def objective(s: np.ndarray, k: np.ndarray) -> float:
        total = -0.15 * sum(s**2) - 0.5 * sum((k - 1) ** 2)
        for a, i, j, w in zip(annotator, first, second, wins, strict=True):
            p = 1 / (1 + math.exp(-k[a] * (s[i] - s[j])))
            total += w * math.log(p) + (1 - w) * math.log(1 - p)
        return float(total)

    s, k = fitted.score, fitted.reliability
    assert objective(s, k) == pytest.approx(fitted.objective[-1], rel=1e-12)
    for vector in (s, k):
        for index in range(len(vector)):
            for step in (1e-5, -1e-5):
                vector[index] += step
                assert objective(s, k) <= fitted.objective[-1] + 1e-9
                vector[index] -= step
    # One annotator, two items, 3 of 4 wins: k (s0 - s1) near ln 3 as the ridges vanish.
    fitted = annotator_bradley_terry(
        [0] * 4, [0] * 4, [1] * 4, [1, 1, 1, 0], ridge=1e-9, reliability_ridge=1e9
    )
    assert fitted.score[0] - fitted.score[1] == pytest.approx(math.log(3), rel=1e-6)
    assert fitted.probability([0], [0], [1])[0] == pytest.approx(0.75, rel=1e-6)


def test_bradley_terry_recovers_reliabilities() -> None:
    reliability = np.array([2.0, 1.5, 1.0, 1.0, 0.5, 0.0])
    items, pairs = 20, 1500
    score = fpo.random.normal(4, items)
    first = np.floor(fpo.random.uniform(5, pairs) * items).astype(int)
    second = (first + 1 + np.floor(fpo.random.uniform(6, pairs) * (items - 1)).astype(int)) % items
    pool = Pool.of(6, reliability=reliability)
    made = pool.compare(KEY, score[first], score[second], 4)
    people = made.annotator
    inverted = Pool.of(6, reliability=1.5).compare(KEY, score[second], score[first], 4)
    choice = np.where(people == 5, inverted.choice, made.choice)  # the last says the opposite
    one, other = first[made.pair], second[made.pair]
    fitted = annotator_bradley_terry(people, one, other, choice)
    assert fitted.converged
    k = fitted.reliability
    assert k[5] < -0.5 and k[4] < min(k[:4]) and k[0] == max(k)
    np.testing.assert_allclose(k[:5] / k[2], reliability[:5], atol=0.35)
    plain = annotator_bradley_terry(people, one, other, choice, reliability_ridge=1e9)
    weighted = np.corrcoef(fitted.score, score)[0, 1]
    assert weighted > np.corrcoef(plain.score, score)[0, 1] and weighted > 0.98


def test_bradley_terry_is_checked() -> None:
    with pytest.raises(DomainError, match="second: expected another item than first, got 1 twice"):
        annotator_bradley_terry([0], [1], [1], [1])
    with pytest.raises(DomainError, match=r"preference: expected numbers in \[0, 1\]"):
        annotator_bradley_terry([0], [1], [0], [2])
    with pytest.raises(ShapeError, match="first, second: expected 1 numbers"):
        annotator_bradley_terry([0], [1, 2], [0, 1], [1])
    with pytest.raises(DomainError, match="ridge: expected a number above 0"):
        annotator_bradley_terry([0], [1], [0], [1], ridge=0)
    empty = annotator_bradley_terry([], [], [], [], items=2, annotators=1)
    assert empty.score.tolist() == [0, 0] and empty.reliability.tolist() == [1]


@pytest.mark.skipif("FPO_DATA" not in os.environ, reason="FPO_DATA is not set")
def test_real_ratings() -> None:
    """POPQUORN: annotators agree little, and a model of each predicts them better than shares."""
    ratings = fpo.data.popquorn()
    graded = Annotations.of(ratings.item, ratings.annotator, ratings.rating - 1)
    assert raw_agreement(graded) == pytest.approx(0.4667, abs=1e-4)
    assert krippendorff_alpha(graded) == pytest.approx(0.1339, abs=1e-4)
    assert krippendorff_alpha(graded, level="ordinal") == pytest.approx(0.2865, abs=1e-4)
    binary = Annotations.of(ratings.item, ratings.annotator, ratings.rating >= 3)
    assert symmetric_noise(raw_agreement(binary)) == pytest.approx(0.1830, abs=1e-4)
    for labels in (graded, binary):
        held_out = fpo.random.uniform(KEY, len(labels)) < 0.2
        train, test = labels.select(~held_out), labels.select(held_out)
        fitted = dawid_skene(train)
        assert fitted.converged
        by_annotator = np.log(fitted.predict(test)).mean()
        by_item = np.log(soft_share(train, smoothing=1)[test.item, test.label]).mean()
        frequency = np.bincount(train.label) / len(train)
        by_frequency = np.log(frequency[test.label]).mean()
        assert by_annotator > max(by_item, by_frequency) + 0.08
    voted = majority_vote(binary)
    fitted = dawid_skene(binary)
    same = (fitted.posterior.argmax(axis=1) == voted)[voted >= 0].mean()
    assert same == pytest.approx(0.94, abs=0.01)
