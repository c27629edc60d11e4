"""What is told about scenarios: schema, reference, starters, explanations, warnings."""
