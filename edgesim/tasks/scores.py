"""The scores of edgesim's own tasks, for whoever has no data set to ask."""

from __future__ import annotations

from edgesim.domain.metrics import Metric
from edgesim.tasks.classification import Classification
from edgesim.tasks.dense_classification import DenseClassification
from edgesim.tasks.detection import Detection
from edgesim.tasks.multi_label import MultiLabel
from edgesim.tasks.regression import Regression
from edgesim.tasks.stroke_segmentation import StrokeSegmentation

SCORES: dict[str, Metric] = {}
"""By name; where several tasks have one of the same name, that of the first."""
for _task in (
    Classification(2),
    MultiLabel(),
    Regression(),
    DenseClassification(2, (1,)),
    Detection(1, 1, 1),
    StrokeSegmentation(2, 2),
):
    for _score in _task.scores:
        SCORES.setdefault(_score.name, _score.metric())
