"""Environments and penalties as objects: names, defaults and bounds are the library's."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, DomainError, DTypeError, ShapeError

OBJECTS = [
    fpo.LinearEnvironment,
    fpo.NeuralEnvironment,
    fpo.Myopic,
    fpo.Practical,
    fpo.Relaxed,
    fpo.Exact,
    fpo.Residual,
]


@pytest.mark.parametrize("cls", OBJECTS)
def test_the_annotations_are_the_parameters_of_the_library(cls: type) -> None:
    annotated = {
        name
        for base in cls.__mro__
        for name in inspect.get_annotations(base)
        if not name.startswith("_") and name != "kind"
    }
    assert annotated == set(inspect.signature(cls).parameters)


@pytest.mark.parametrize("cls", OBJECTS)
def test_every_parameter_is_documented(cls: type) -> None:
    for name in inspect.signature(cls).parameters:
        assert f"    {name} : default" in (cls.__doc__ or "")
    for parameter in cls._table.values():  # type: ignore[attr-defined]
        assert len(parameter.doc) > 10, parameter.name


@pytest.mark.parametrize("cls", OBJECTS)
def test_an_object_survives_every_round_trip(cls: type) -> None:
    made = cls()
    family = fpo.Environment if isinstance(made, fpo.Environment) else fpo.Penalty
    assert family.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert copy.deepcopy(made) == made
    assert hash(made) == hash(cls()) and repr(made) == f"{cls.__name__}()"
    assert made != object()


def test_published_settings() -> None:
    linear, neural = fpo.LinearEnvironment(), fpo.NeuralEnvironment()
    published = {
        "dimension": 50,
        "signal_dimension": 3,
        "penalty_weight": 0.1,
        "action_cost": 0.1,
        "policy_learning_rate": 0.02,
        "reward_learning_rate": 0.005,
        "weight_decay": 1e-4,
        "rounds": 300,
        "utility_peak": 10.0,
    }
    assert {name: getattr(linear, name) for name in published} == published
    assert fpo.LinearEnvironment(**published) == linear
    assert (neural.dimension, neural.hidden, neural.rounds) == (10, (32, 32), 4000)
    assert (neural.penalty_weight, neural.action_cost, neural.inner_steps) == (0.005, 0.01, 15)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(ArgumentError, match="'dimensions'; did you mean 'dimension'"):
        fpo.LinearEnvironment(dimensions=3)
    with pytest.raises(ArgumentError, match="did you mean 'hidden'"):
        fpo.NeuralEnvironment().replace(hiden=[3])
    with pytest.raises(ArgumentError, match="did you mean 'kappa'"):
        fpo.Residual(kapa=1)
    with pytest.raises(ArgumentError, match="did you mean 'relaxed'"):
        fpo.Penalty.named("relax")
    with pytest.raises(AttributeError, match="did you mean 'rounds'"):
        _ = fpo.LinearEnvironment().round


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("dimension", 0, DomainError),
        ("dimension", 2.5, DTypeError),
        ("dimension", "50", DTypeError),
        ("rounds", -1, DomainError),
        ("action_cost", "much", DTypeError),
        ("action_cost", math.nan, ValueError),
        ("policy_learning_rate", -0.1, DomainError),
        ("gradient", "central", DomainError),
        ("precision", None, DomainError),
        ("start", [1.0, 2.0], ShapeError),
        ("start", math.inf, ValueError),
        ("action_cost_centre", "far", DTypeError),
        ("hidden", [], DomainError),
        ("hidden", 32, DTypeError),
        ("hidden", [32] * 9, DomainError),
    ],
)
def test_wrong_values_are_named(name: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        fpo.NeuralEnvironment(**{name: value})


def test_replace_changes_a_copy() -> None:
    base = fpo.LinearEnvironment()
    changed = base.replace(rounds=7, gradient="Forward-Difference", start=np.float32(0.5))
    assert (base.rounds, changed.rounds, changed.start) == (300, 7, 0.5)
    assert changed.replace(gradient="analytic", rounds=300, start=0) == base
    assert set(changed.changes()) == {"rounds", "gradient", "start"}
    with pytest.raises(AttributeError, match="frozen"):
        base.rounds = 3


def test_a_constant_schedule_stays_constant() -> None:
    linear = fpo.LinearEnvironment(policy_learning_rate=0.5)
    assert linear.policy_learning_rate_final == 0.5
    assert linear.replace(policy_learning_rate=0.1).policy_learning_rate_final == 0.1
    annealed = linear.replace(policy_learning_rate_final=0.01)
    assert annealed.replace(policy_learning_rate=0.3).policy_learning_rate_final == 0.01
    neural = fpo.NeuralEnvironment()
    kept = neural.replace(policy_learning_rate=0.3).policy_learning_rate_final
    assert kept == neural.policy_learning_rate_final


def test_points_may_be_numbers_or_coordinates() -> None:
    world = fpo.LinearEnvironment(dimension=4, start=2, action_cost_centre=[1, 2, 3, 4])
    np.testing.assert_array_equal(world._point("start"), [2, 2, 2, 2])
    np.testing.assert_array_equal(world._point("action_cost_centre"), [1, 2, 3, 4])
    with pytest.raises(ShapeError, match="action_cost_centre"):
        world.replace(dimension=5)


def test_the_displaced_world() -> None:
    world = fpo.NeuralEnvironment.displaced()
    start = world._point("start")
    assert (start[: world.signal_dimension] == 0).all()
    assert (np.abs(start[world.signal_dimension :]) == 1).all()
    assert world.action_cost_centre == world.start
    assert set(world.changes()) == {"start", "action_cost_centre"}
    assert fpo.NeuralEnvironment.displaced(0.5, dimension=6).start == (0, 0, 0.5, -0.5, 0.5, -0.5)


def test_utility() -> None:
    world = fpo.LinearEnvironment()
    np.testing.assert_allclose(world.utility(world.ideal[None]), [10])
    off = world.ideal + np.eye(50)[7]
    np.testing.assert_allclose(world.utility(off[None]), [10 * math.exp(-0.3)])


def test_penalties_by_name_and_by_object() -> None:
    for name in ("myopic", "practical", "relaxed", "exact", "residual"):
        assert fpo.Penalty.named(name).kind == name
        assert fpo.Penalty.named(name.upper()) == fpo.Penalty.named(name)
    own = fpo.Exact(curvature="identity", alignment="own", damping=0.5, weight=0.2)
    assert fpo.Penalty.named(own) is own
    assert fpo.Relaxed().weight is None
    assert fpo.Relaxed(weight=0.5, oracle_gradient=True).oracle_gradient == 1
    assert fpo.Relaxed(weight=None) == fpo.Relaxed()
    assert own.weight == 0.2 and fpo.Exact().weight == 1
    assert fpo.Exact().oracle_gradient == 1 and fpo.Relaxed().oracle_gradient is None
    for bad in (3, None, fpo.Relaxed):
        with pytest.raises(DTypeError, match="penalty"):
            fpo.Penalty.named(bad)  # type: ignore[arg-type]
    for kind, name, value in (
        (fpo.Residual, "kappa", 0),
        (fpo.Exact, "damping", -1),
        (fpo.Exact, "curvature", "half"),
        (fpo.Relaxed, "oracle_gradient", 2),
    ):
        with pytest.raises(DomainError, match=name):
            kind(**{name: value})
