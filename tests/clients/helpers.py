"""The SIM that the programs read, and what they print."""

ICCID = "8931082322204500034"
# Printed before the SMS is sent.
READ = """\
status: ACTIVATED
data usage: 7300000
in session: 100.126.61.103
device: Boat tracker
"""
