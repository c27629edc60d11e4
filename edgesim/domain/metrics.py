"""The metrics of a study: their units, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of results.

    Parameters
    ----------
    name : as in ``summary.csv``.
    unit : base unit; ``"1"`` for a share.
    summary : what it is, in one line.
    formula : how it is computed.
    validity : when to believe it.
    source : where the definition comes from.
    """

    name: str
    unit: str
    summary: str
    formula: str
    validity: str
    source: str = "edgesim's own definition"


_TRAFFIC = "all bytes that are put on links count, also of messages that are lost on the way; acknowledgements do not"
_LATENCY = (
    "of the trials with an answer only; see `answered` for how many those are, and compare strategies at equal shares"
)

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "accuracy", "1", "share of the test split that the networks answer rightly with what arrived in time",
            "mean over trials of (1/n) sum_i [argmax predict(delivered)_i = label_i]; 0 for a trial without an answer",
            "real inference of real networks on the test split; the interval covers the failures that were drawn, not the "
            "choice of test samples nor the training seed",
        ),
        Metric(
            "latency", "s", "time from the release of a request to the end of the computation that answers it",
            "mean over trials with an answer of (end of the answering step - release)",
            "compute times follow the roofline model and link times the model of the link; " + _LATENCY,
        ),
        Metric(
            "latency_p95", "s", "95th percentile of the latency",
            "smallest latency that at least 95 % of the trials with an answer do not exceed",
            _LATENCY + "; it needs some hundreds of replications",
        ),
        Metric(
            "traffic", "byte", "bytes put on links per inference",
            "traffic_input + traffic_intermediate + traffic_result; each hop counts, headers and lost messages included",
            _TRAFFIC,
        ),
        Metric("traffic_input", "byte", "traffic that distributes the input", "sum over transfers of kind input", _TRAFFIC),
        Metric(
            "traffic_intermediate", "byte", "traffic of tensors between layers",
            "sum over transfers of kind intermediate", _TRAFFIC,
        ),
        Metric(
            "traffic_result", "byte", "traffic towards the device that merges or wants the answer",
            "sum over transfers of kind result", _TRAFFIC,
        ),
        Metric(
            "energy", "J", "energy of the devices that the plan uses, per inference",
            "sum over devices of idle power x latency + (busy - idle) x computing time + (transmit - idle) x sending time "
            "+ (receive - idle) x receiving time",
            "as good as the powers of the device profiles; a device that is down takes nothing",
        ),
        Metric(
            "answered", "1", "share of trials with an answer", "number of trials with an answer / number of trials",
            "interval after Wilson, which holds near 0 and 1 too",
            "E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22(158), 1927",
        ),
        Metric(
            "peak_memory", "byte", "memory that the fullest device needs",
            "max over devices of (resident weights + largest sum of activations alive at once)",
            "weights and activations in float32; buffers of the run time and of the operating system are not counted",
        ),
    )
}  # fmt: skip
"""All metrics by name, in the order of the table."""
