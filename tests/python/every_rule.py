"""Runs every scenario of `rules`, and holds that each operation was seen with each of its modelled errors."""

import time

from rules import access, changes, configurations, creation, faults, inventory, lists, users, world
from scenario import reached

seen = set()
worlds = world.worlds(seen)
# Creation finds its servers empty; faults come last, for no server answers after them.
for subject in (creation, changes, users, configurations, lists, access, faults):
    started = time.monotonic()
    subject.run(worlds)
    reached("held", subject=subject.__name__, seconds=round(time.monotonic() - started, 1))
reached("done", **inventory.check(seen))
