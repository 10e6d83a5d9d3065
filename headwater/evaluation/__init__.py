"""Predictions in, judgements out: metrics with intervals, probes, tests, and advice on when to stop."""

from headwater.evaluation.significance import (
    Estimate,
    PairedTest,
    bootstrap,
    hierarchical_bootstrap,
    holm,
    paired_test,
)

__all__ = ["Estimate", "PairedTest", "bootstrap", "hierarchical_bootstrap", "holm", "paired_test"]
