"""From a decoder of language and a prompt to the plan of the tokens that follow."""
