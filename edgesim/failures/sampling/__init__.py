"""How failure models are drawn, enumerated and weighed."""
