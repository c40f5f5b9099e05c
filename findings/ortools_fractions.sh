#!/usr/bin/env bash
# OR-Tools 9.15.6755, numpy 2.3.5.
#
# Behaviour: where costs of an assignment, or capacities of a flow, come as an array of fractions, OR-Tools drops what
# stands behind the point, solves that other problem and says OPTIMAL. So costs such as 1 - IoU are all 0: a tracker gets
# any pairing and the total 0, and a graph cut between 0 and 1 cuts nothing. One arc at a time is refused with a TypeError.
# Expected: the same TypeError, as numpy itself refuses int64 for fractions (rule "safe" or "same_kind"). The signature
# names int64, and neither it nor the guide says that other numbers are cut off.
#
# Output seen:
#   one cost of 0.9:        TypeError
#   an array of fractions:  OPTIMAL, pairs [0, 1], cost 0
#   the same in thousandths: OPTIMAL, pairs [1, 0], cost 300
#   a cut of fractions:     flow 0; in tenths: flow 9
#
# Backdrop rounds capacities to whole thousandths before it hands them over (datamodules/cues/cut.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ortools==9.15.6755 numpy==2.3.5

cat > "$folder/show.py" <<'PYTHON'
import numpy as np
from ortools.graph.python import linear_sum_assignment, max_flow

COST = np.array([[0.9, 0.1], [0.2, 0.8]])  # of two tracks (rows) and two detections: they have changed places


def pairs(cost: np.ndarray) -> tuple[str, list[int], int]:
    track, detection = np.divmod(np.arange(4), 2)
    solver = linear_sum_assignment.SimpleLinearSumAssignment()
    solver.add_arcs_with_cost(track, detection, cost.ravel())
    return solver.solve().name, [solver.right_mate(track) for track in (0, 1)], solver.optimal_cost()


def flow(capacity: np.ndarray) -> int:
    solver = max_flow.SimpleMaxFlow()
    solver.add_arcs_with_capacity(np.array([0, 0, 1, 2, 1]), np.array([1, 2, 3, 3, 2]), capacity)
    assert solver.solve(0, 3) == solver.OPTIMAL
    return solver.optimal_flow()


try:
    linear_sum_assignment.SimpleLinearSumAssignment().add_arc_with_cost(0, 0, 0.9)
    refused = "taken"
except TypeError:
    refused = "TypeError"
print("one cost of 0.9:       ", refused)
fractions, thousandths = pairs(COST), pairs(np.rint(COST * 1000).astype(int))
print("an array of fractions:  %s, pairs %s, cost %d" % fractions)
print("the same in thousandths: %s, pairs %s, cost %d" % thousandths)
capacity = np.array([0.9, 0.2, 0.3, 0.8, 0.4])
flows = flow(capacity), flow(np.rint(capacity * 10).astype(int))
print("a cut of fractions:     flow %d; in tenths: flow %d" % flows)
assert refused == "TypeError", "changed: a single fraction is taken"
assert thousandths == ("OPTIMAL", [1, 0], 300) and flows[1] == 9, "whole numbers should be solved"
assert fractions[0] == "OPTIMAL" and fractions[2] == 0 and flows[0] == 0, "changed: fractions count"
PYTHON
cd "$folder" && venv/bin/python show.py
