"""Fit the three numbers of each standard that `wifi:` takes from ns-3: python benchmarks/wifi.py

The cases are those of tests/validation/ns3_figures.json ("rates", made by benchmarks/ns3_cases.py): messages of 10 and 100 kB of one station or
of eight at once, at rates from the slowest to the fastest. The last of n messages of S byte over a rate r on the air ends at

    T = sum over k < n of (overhead + 8 S / (efficiency x r)) (1 + contention x k),

and the squares of the relative errors are made least. Prints the numbers, and the error of each case; the numbers stand in
edgesim/scenario/catalog/wifi.toml.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scipy.optimize import least_squares

from edgesim.scenario.catalog.radio import STANDARDS, Standard, radio

FIGURES = Path(__file__).parents[1] / "tests" / "validation" / "ns3_figures.json"


def cases(standard: Standard) -> list[dict[str, Any]]:
    """Return the cases of a standard, with the mean of the last arrivals."""
    found = json.loads(FIGURES.read_text(encoding="utf-8"))["rates"]
    return [one | {"mean_s": sum(one["last_s"]) / len(one["last_s"])} for one in found if one["standard"] == standard]


def last_s(standard: Standard, case: dict[str, Any], overhead_s: float, efficiency: float, contention: float) -> float:
    """Return T."""
    rate_bit_per_s = efficiency * radio(standard).rates_bit_per_s[case["mcs"]]
    alone_s = overhead_s + 8 * case["size_byte"] / rate_bit_per_s
    return alone_s * (case["n"] + contention * case["n"] * (case["n"] - 1) / 2)


def fitted(standard: Standard) -> tuple[float, float, float]:
    """Return overhead in s, efficiency and contention."""

    def errors(numbers: Any) -> list[float]:
        overhead_ms, efficiency, contention = numbers
        return [
            last_s(standard, one, overhead_ms * 1e-3, efficiency, contention) / one["mean_s"] - 1
            for one in cases(standard)
        ]

    overhead_ms, efficiency, contention = least_squares(errors, [0.4, 0.9, 0.06]).x
    return overhead_ms * 1e-3, efficiency, contention


def main() -> None:
    for standard in STANDARDS:
        numbers = fitted(standard)
        print(
            f"{standard}: overhead {numbers[0] * 1e3:.3f} ms, efficiency {numbers[1]:.3f}, contention {numbers[2]:.4f}"
        )
        for one in cases(standard):
            error = last_s(standard, one, *numbers) / one["mean_s"] - 1
            print(
                f"  MCS {one['mcs']}, {one['n']} x {one['size_byte']} byte: {one['mean_s'] * 1e3:.2f} ms, {error:+.1%}"
            )


if __name__ == "__main__":
    main()
