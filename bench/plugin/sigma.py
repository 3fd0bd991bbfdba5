"""How a method has the fusion's sigma chosen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SigmaRule:
    """How the fusion's sigma is chosen, where it is not given.

    fixed: this value; None: the best on held-out training people, who are cut into `folds` parts, of which the first
    `held_out` are held out in turn and all models refitted on the others.
    """

    fixed: float | None = None
    folds: int = 5
    held_out: int = 5
