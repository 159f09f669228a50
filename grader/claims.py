"""The verdict on a submission, made where none of its code runs.

The learner's grader judges in processes that run the learner's code, and code can rewrite the
process it runs in: there, a pass is a claim.  What is claimed to pass runs once more in another
sandbox, which is asked for numbers and not for verdicts, from another seed, and without our answers
in reach.  Only numbers that equal ours, computed where there was no submission, make it PASSED.
"""

from grader.cost import ALLOWED
from grader.judge import TOLERANCE
from grader.marks import Mark, curve_distance
from grader.reports import Row
from grader.verdict import PASSED, STATUSES
from grader.workplace import Workplace
from milestones.table import find_milestone

UNCONFIRMED = "UNCONFIRMED"
SAYS = "said to pass, but asked for its numbers alone it gave others than ours, or none"
MADE_UP = (TypeError, KeyError, ValueError, OverflowError)  # what reading nonsense raises


def names_of(stem: str) -> list[str]:
    """Of the tasks of a milestone, and "" for all of them together."""
    return [*(task.name for task in find_milestone(stem).tasks), ""]


def grade(place: Workplace, stem: str, text: bytes | None, ours: dict, seed: int) -> list[Row]:
    """The verdicts on one milestone of a submission, in the order of its tasks.

    text: its exercise file, if there is one; ours: what our_numbers gives for this seed.
    """
    names = names_of(stem)
    if text in (None, (place.course / "grader" / "stubs" / f"{stem}.py").read_bytes()):
        says = "not handed in" if text is None else "as it was handed out"
        return [Row(stem, name, "TODO", (says,)) for name in names]
    claims = {}
    for answer in place.ask("judge", stem, text):
        claims |= claim(stem, answer)
    passed = [name for name in names[:-1] if name in claims and claims[name].status == PASSED]
    right = confirmed(place, stem, text, passed, ours, seed)
    if right == names[:-1]:
        right = names
    return [verdict(stem, name, claims.get(name), name in right) for name in names]


def claim(stem: str, answer) -> dict[str, Row]:
    """One answer of `judge` by its task's name, if it is what it should be."""
    match answer:
        case [str(name), str(status), [*lines]] if name in names_of(stem) and status in STATUSES:
            return {name: Row(stem, name, status, tuple(str(x)[:1000] for x in lines[:50]))}
    return {}


def verdict(stem: str, name: str, claimed: Row | None, right: bool) -> Row:
    """A claim, or what is to be said in its place."""
    if claimed is None:
        return Row(stem, name, "ENDED", ("the grader was ended, or did not get here in time",))
    if claimed.status == PASSED and not right:
        return Row(stem, name, UNCONFIRMED, (SAYS,))
    return claimed


def our_numbers(place: Workplace, stem: str, seed: int) -> dict | None:
    """What right tasks compute; None if this machine cannot."""
    answers = place.ask("numbers", stem, None, names=names_of(stem)[:-1], seed=seed, ours=True)
    return answers[0] if answers else None


def confirmed(
    place: Workplace, stem: str, text: bytes, names: list[str], ours: dict, seed: int
) -> list[str]:
    """Those of the tasks whose numbers are right, when all of those are in use at once."""
    while names:
        answers = place.ask("numbers", stem, text, names=names, seed=seed, ours=False)
        theirs = answers[0] if answers else None
        right = [name for name in names if same_outputs(ours, theirs, name)]
        if right == names:
            return names if same_training(ours, theirs) else []
        names = right
    return []


def same_outputs(ours: dict, theirs, name: str) -> bool:
    """Whether the unit outputs of a task are ours; no, if they are not even numbers."""
    try:
        return Mark(**ours["marks"][name]).is_near(Mark(**theirs["marks"][name]))
    except MADE_UP:
        return False


def same_training(ours: dict, theirs) -> bool:
    """Whether two ranks have trained as ours have, and alike, with no more traffic."""
    expected = ours["ranks"][0]
    try:
        for rank in theirs["ranks"]:
            gap = curve_distance(
                [*rank["val"], *rank["train"]], [*expected["val"], *expected["train"]]
            )
            cheap = [rank["traffic"][k] <= ALLOWED * n for k, n in expected["traffic"].items()]
            if not gap <= TOLERANCE or not all(cheap):
                return False
        first, second = (rank["weights"] for rank in theirs["ranks"])
        sums = [zip(first[name], second[name], strict=True) for name in expected["weights"]]
        return all(abs(a - b) <= 1e-9 for pairs in sums for a, b in pairs)
    except MADE_UP:
        return False
