"""What no record of the speedrun ever changed: everything around the science.

Command line, ranks and devices, seeds, the clock, the run folder and its log, checkpoints, and the
injection of a learner's code.  Whatever a record did change stands in the milestone's own file.

    main      the last line of every train_gpt.py
    Run       what `train(args, run)` sees of all this
    replay    a run in memory, for graders and tests
"""

from milestones.harness.cli import main, replay
from milestones.harness.errors import NonFiniteLoss, Stopped, UsageError
from milestones.harness.run import Run

__all__ = ["NonFiniteLoss", "Run", "Stopped", "UsageError", "main", "replay"]
