"""Whistles, as of a monitor, a converter or a bad ground: one steady line in a sound that is made of something else.

Tones are what music is made of, so a line is a fault only when it is steady where the rest is not: no other line of its
strength stands with it, and it is no overtone. Among steady tones, a line is taken for a fault when it is much weaker
than the others, far above them, and no overtone of theirs.
"""

from __future__ import annotations

import numpy as np

from volna.tasks.diagnosis.lines import Line, is_multiple, is_related, ratio_db

__all__ = ["find_whistles"]

LOWEST_HZ, LOWEST_FAMILY_HZ = 800.0, 300.0
WEAKER_DB, MUCH_WEAKER_DB = 0.0, 18.0  # than the rest: where it moves, and where it is steady itself
FAINTEST_DB, FOREIGN_FAINTEST_DB = -36.0, -28.0
FAMILY_DB = 12.0  # other lines within so much, or stronger: a chord
CLEARLY_DB, NOTHING_DB = 6.0, 20.0  # weaker than every other fundamental, but for what is weaker still by so much
CLEARER_DB, FOREIGN_PROMINENCE_DB = 20.0, 20.0  # lines that stand out so much less are none; least of a foreign one
FAR_ABOVE = 2.2  # times the strongest line of a sound of steady tones: nearer are sidebands
STEADY_SHARE = 0.5  # of the rest's power in steady lines: a sound of steady tones


def find_whistles(lines: list[Line], total: float, mains: int) -> list[Line]:
    """The lines that are no part of the sound; `total` is its mean power, `mains` a hum that was found, or 0."""
    others = [line for line in lines if not (mains and is_multiple(line.hz, mains, 0.5))]
    steady = sum(line.power for line in others)
    whistles = []
    for line in others:
        rest = max(total - line.power, 1e-12)
        level = float(10 * np.log10(line.power / rest))
        if line.hz < LOWEST_HZ or level < FAINTEST_DB:
            continue
        moving = (steady - line.power) / rest < STEADY_SHARE
        alone = moving and level < -WEAKER_DB and _is_alone(line, others)
        if alone or (FOREIGN_FAINTEST_DB < level < -MUCH_WEAKER_DB and _is_foreign(line, others)):
            whistles.append(line)
    return whistles


def _is_alone(line: Line, others: list[Line]) -> bool:
    """Whether no line of its strength stands with it, but for a drone far below that is no fundamental of it."""
    family = [one for one in others if one is not line and ratio_db(one, line) > -FAMILY_DB]
    family = [one for one in family if one.prominence_db > line.prominence_db - CLEARER_DB]
    return not any(one.hz > LOWEST_FAMILY_HZ or is_related(one, line) for one in family)


def _is_foreign(line: Line, others: list[Line]) -> bool:
    """Whether a line among steady tones is none of them: far above, clearly the weakest, and no overtone."""
    strongest = max(others, key=lambda one: one.power)
    if line.prominence_db < FOREIGN_PROMINENCE_DB or line.hz < FAR_ABOVE * strongest.hz:
        return False
    if any(is_related(one, line) for one in others):
        return False
    own = [one for one in others if one is not line and not any(is_related(other, one) for other in others)]
    return all(ratio_db(one, line) > CLEARLY_DB for one in own if ratio_db(one, line) > -NOTHING_DB)
