"""The discrete-event simulation of plans; simpy lives only here."""
