"""Groups of devices that each run one student, so that one of them is there with high probability."""
