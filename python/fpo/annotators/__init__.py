"""Who labels matters: simulated annotators, their agreement, and one answer from many.

>>> pool = fpo.annotators.Pool.of(20, accuracy=0.7)
>>> labels = pool.classify(fpo.random.key(0), truth, classes=2, per_item=5)
>>> fpo.annotators.krippendorff_alpha(labels)
>>> fpo.annotators.dawid_skene(labels).posterior
"""

from __future__ import annotations

from .aggregation import DawidSkene, dawid_skene, majority_vote, soft_share
from .agreement import (
    cohen_kappa,
    expected_agreement,
    fleiss_kappa,
    krippendorff_alpha,
    raw_agreement,
    symmetric_noise,
)
from .annotations import Annotations
from .bradley_terry import AnnotatorBradleyTerry, annotator_bradley_terry
from .pool import Comparisons, Pool

__all__ = [
    "AnnotatorBradleyTerry",
    "Annotations",
    "Comparisons",
    "DawidSkene",
    "Pool",
    "annotator_bradley_terry",
    "cohen_kappa",
    "dawid_skene",
    "expected_agreement",
    "fleiss_kappa",
    "krippendorff_alpha",
    "majority_vote",
    "raw_agreement",
    "soft_share",
    "symmetric_noise",
]
