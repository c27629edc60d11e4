"""What answers mean: scores, losses, imitation. One file a kind; torch and scikit-learn are loaded when they are needed."""
