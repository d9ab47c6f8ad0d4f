"""fpo: iterative RLHF without alignment collapse.

Reward models, foresighted (FPO) penalties and the controlled environments of Gauthier, Bach and
Jordan, *Explaining and Preventing Alignment Collapse in Iterative RLHF*, arXiv:2605.04266; the
numbers are computed by ``libfpo``, a Swift library behind ``fpo.h``.

>>> import fpo
>>> runs = fpo.simulate(fpo.NeuralEnvironment(), penalty="relaxed", seeds=range(100))
>>> runs.utility.shape
(100, 401)
"""

from __future__ import annotations

from . import (
    annotators,
    data,
    errors,
    estimators,
    feedback,
    models,
    numerics,
    objectives,
    optimizers,
    penalties,
    plot,
    random,
    trainers,
    verifiers,
    worlds,
)
from ._lib import build_info, library_path
from ._lib import lib as _library
from .environments import Environment, LinearEnvironment, NeuralEnvironment
from .errors import FpoError
from .estimators import UtilityFilter
from .language import (
    EncoderReward,
    IterativeRLHFConfig,
    IterativeRLHFTrainer,
    LanguageModel,
    LlamaPolicy,
    LlamaReward,
)
from .models import LinearReward, MLPReward, RewardModel
from .optimizers import SGD, Adam, AdamW
from .penalties import Exact, Myopic, Penalty, Practical, Relaxed, Residual
from .runs import Runs
from .simulation import Simulation, simulate
from .sweep import run_trial, sweep
from .worlds import EnumerableWorld

__version__: str = _library.fpo_version().decode()

__all__ = [
    "Adam",
    "AdamW",
    "EnumerableWorld",
    "EncoderReward",
    "Environment",
    "Exact",
    "FpoError",
    "IterativeRLHFConfig",
    "IterativeRLHFTrainer",
    "LanguageModel",
    "LinearEnvironment",
    "LinearReward",
    "LlamaPolicy",
    "LlamaReward",
    "MLPReward",
    "Myopic",
    "NeuralEnvironment",
    "Penalty",
    "Practical",
    "Relaxed",
    "Residual",
    "RewardModel",
    "Runs",
    "SGD",
    "Simulation",
    "UtilityFilter",
    "__version__",
    "annotators",
    "build_info",
    "data",
    "errors",
    "estimators",
    "feedback",
    "get_num_threads",
    "language",
    "library_path",
    "models",
    "numerics",
    "objectives",
    "optimizers",
    "penalties",
    "plot",
    "random",
    "run_trial",
    "set_num_threads",
    "simulate",
    "sweep",
    "trainers",
    "verifiers",
    "worlds",
]


def set_num_threads(count: int) -> None:
    """How many threads parallel work may use; 0: as many as the process may run on.

    Results never depend on it.
    """
    from . import _arrays

    _library.fpo_set_num_threads(_arrays.integer("count", count, 0, 1024))


def get_num_threads() -> int:
    """How many threads parallel work may use."""
    return int(_library.fpo_get_num_threads())
