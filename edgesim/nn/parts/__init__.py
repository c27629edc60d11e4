"""From a trained network to the parts that its filters are divided into."""
