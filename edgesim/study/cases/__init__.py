"""What a study runs: its cases, their outcomes, and the tasks that they are divided into."""
