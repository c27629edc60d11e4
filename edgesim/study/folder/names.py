"""Names of the files of a result folder beside its manifest and its parts."""

SCENARIO = "scenario.yaml"
SUMMARY, DIFFERENCES, SENSITIVITY = "summary.csv", "differences.csv", "sensitivity.csv"
BUDGET, QUEUES, TIMELINE = "budget.csv", "queues.csv", "timeline.json"
SHOWN = "shown.json"
