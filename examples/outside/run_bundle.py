"""Executes an exported plan in one process, with torch and safetensors alone: no line of edgesim runs here.

    edgesim plan twins.yaml --json > plan.json
    edgesim export twins.yaml bundles
    python run_bundle.py plan.json bundles/halo sample.safetensors conv1/gather/b

The sample has one tensor for each input of the network, the first axis of length 1, or as long as a group of queries (approxifer, parm); names of messages that are lost may follow.
"""

import json
import operator
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file


def filled(value, values):
    """Return an argument of an operator, with tensors in place of their names."""
    if isinstance(value, list):
        return [filled(one, values) for one in value]
    if not isinstance(value, dict):
        return value
    if "of" in value:
        return values[value["of"]]
    if value["kind"] in {"number", "device"}:
        return float(value["value"]) if value["kind"] == "number" else torch.device("cpu")
    return getattr(torch, value["value"])


def run(kernel, weights, came):
    """Return what goes where, from what came."""
    values = dict(weights)
    for number, given in enumerate(kernel["given"]):
        zeros = [torch.zeros(s, dtype=getattr(torch, d)) for s, d in zip(given["shapes"], given["dtypes"], strict=True)]
        values |= {f"given{number}_{place}": one for place, one in enumerate(came.get(given["name"], zeros))}
        values[f"there{number}"] = torch.tensor(float(given["name"] in came))
    for node in kernel["nodes"]:
        _, packet, overload = node["op"].split(".") if node["op"] != "take" else ("", "", "")
        function = getattr(getattr(torch.ops.aten, packet), overload) if packet else operator.getitem
        options = {name: filled(one, values) for name, one in node["kwargs"].items()}
        values[node["name"]] = function(*filled(node["args"], values), **options)
    return {goal: [values[name] for name in names] for goal, names in kernel["results"].items()}


def answer(plan_file, bundle, sample_file, *lost):
    """Return the answers to the sample when some messages are lost; None when there is none."""
    plan = next(one for one in json.loads(Path(plan_file).read_text()) if one["strategy"] == Path(bundle).name)
    sample = [one for _, one in sorted(load_file(sample_file).items())]
    kernels, answer_id = {}, ""
    for folder in Path(bundle).iterdir():
        device, weights = json.loads((folder / "steps.json").read_text()), load_file(folder / "weights.safetensors")
        answer_id = device["answer"] or answer_id
        steps = [(f"{n}/", one) for n, one in enumerate(device["computes"])]
        steps += [(f"send{n}/", one) for n, one in enumerate(device["sends"]) if "kernel" in one]
        for prefix, step in steps:
            own = {name.partition("/")[2]: one for name, one in weights.items() if name.startswith(prefix)}
            kernels[step["step_id"]] = step["kernel"], own
    left, values = {one["step_id"]: one for one in (*plan["steps"], *plan["transfers"])}, {}
    sent = {one["step_id"]: sample for one in plan["transfers"] if not one["inputs"]}
    while left:
        name = next(name for name, step in left.items() if not left.keys() & set(step["inputs"]))
        step = left.pop(name)
        came = {one: values[one] for one in step["inputs"] if one in values}
        enough = [group for group in step.get("alternatives", ()) if len(came.keys() & group) >= step["n_enough"]]
        needed = set() if step.get("on_missing") == "degrade" else set(step["inputs"]).difference(*enough)
        if name in kernels and came.keys() >= needed:
            sent |= run(*kernels[name], came if step["inputs"] else {"<sample>": sample})
            values |= {name: sent.pop("<kept>")} if "<kept>" in sent else {}
        if name in sent and name not in lost:
            values[name] = sent[name]
    return values[answer_id][0] if answer_id in values else None


if __name__ == "__main__":
    with torch.inference_mode():
        print(answer(*sys.argv[1:]))
