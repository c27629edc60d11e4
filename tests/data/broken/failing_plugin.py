"""A plug-in that fails while it is imported."""

RATES = {"wifi": 20}
SPEED = RATES["ble"]
