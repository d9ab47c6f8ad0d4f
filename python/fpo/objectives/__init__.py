"""Objectives: the losses of reward models, preference optimisation and policy gradients.

They work on arrays: rewards or log-probabilities in; values and derivatives out, one for each pair,
response or token. A loss with parameters is an object, ``SimPO(gamma=0.3)``, whose defaults are
the library's, and is called with arrays; `Loss.named` makes one from its name.
"""

from __future__ import annotations

from ._losses import Loss as Loss
from ._losses import PairLoss as PairLoss
from ._losses import ResponseLoss as ResponseLoss
from .advantages import *  # noqa: F403
from .advantages import __all__ as _advantages
from .divergence import *  # noqa: F403
from .divergence import __all__ as _divergence
from .games import *  # noqa: F403
from .games import __all__ as _games
from .instruments import *  # noqa: F403
from .instruments import __all__ as _instruments
from .policy import *  # noqa: F403
from .policy import __all__ as _policy
from .preference import *  # noqa: F403
from .preference import __all__ as _preference
from .reward import *  # noqa: F403
from .reward import __all__ as _reward

__all__ = [  # noqa: PLE0604
    "Loss",
    "PairLoss",
    "ResponseLoss",
    *_advantages,
    *_divergence,
    *_games,
    *_instruments,
    *_policy,
    *_preference,
    *_reward,
]
