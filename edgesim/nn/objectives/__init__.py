"""What students learn from a batch: one file an objective; torch is loaded when a batch is there."""
