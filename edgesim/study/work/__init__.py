"""From cases to parts on disk: tasks, workers, and when to stop."""
