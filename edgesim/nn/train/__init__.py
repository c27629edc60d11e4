"""From an untrained network and samples to a trained one that is kept on disk."""
