"""How long layers and operators take on the machine that runs this."""
