"""Networks for tables and other rows of numbers: kernels, logistic regression, and one small network per question."""
