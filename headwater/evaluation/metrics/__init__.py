"""Metrics: predictions and truths in, estimates with intervals out."""

from headwater.evaluation.metrics.classification import (
    ClassificationReport,
    LabelScore,
    classification_report,
    confusion_matrix,
)
from headwater.evaluation.metrics.regression import RegressionReport, regression_report

__all__ = [
    "ClassificationReport",
    "LabelScore",
    "RegressionReport",
    "classification_report",
    "confusion_matrix",
    "regression_report",
]
