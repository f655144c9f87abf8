"""Which raters the second table leaves out: by rules that stand in survey.json before the first answer."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from studio.survey.results.answer_rows import AnswerRow, raters_of
from studio.survey.survey_spec import REFERENCE, ExclusionRules

MUSHRA_HIT = 90.0  # ITU-R BS.1534-3: the hidden reference is rated below this in too many items


def excluded_raters(
    rows: Sequence[AnswerRow], rules: ExclusionRules, planned: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Rater -> the first rule that was broken. `planned` has the number of main trials of each rater."""
    reasons = {}
    for rater in raters_of(rows):
        own = [row for row in rows if row.rater == rater]
        reason = _broken_rule(own, rules, (planned or {}).get(rater))
        if reason:
            reasons[rater] = reason
    return reasons


def _broken_rule(own: Sequence[AnswerRow], rules: ExclusionRules, planned: int | None) -> str:
    main = [row for row in own if row.kind == "main"]
    attention = [row for row in own if row.kind == "attention" and row.criterion != "confidence"]
    if rules.failed_attention and any(row.value != row.expected for row in attention):
        return "did not answer an attention clip as it asked"
    if planned and len({row.trial for row in main}) < rules.min_answered * planned:
        return f"answered fewer than {rules.min_answered:.0%} of the clips"
    gap = _retest_gap(own)
    if gap is not None and gap > rules.max_retest_difference:
        return f"differs by {gap:.1f} on average from their own answer to the same clip"
    if len(main) >= 8 and Counter(row.value for row in main).most_common(1)[0][1] > rules.max_same_answer * len(main):
        return "gave one answer to nearly everything"
    hidden = [row.value for row in main if row.criterion == "mushra" and row.system == REFERENCE and not row.control]
    if hidden and np.mean(np.asarray(hidden) < MUSHRA_HIT) > rules.max_reference_misses:
        return "rated the hidden reference below 90 too often"
    return ""


def _retest_gap(own: Sequence[AnswerRow]) -> float | None:
    """Mean difference of a rater's answers to repeated clips, criterion by criterion; None without any."""
    scaled = ("origin", "preference", "abx", "confidence")
    first = {(r.clip, r.criterion): r.value for r in own if r.kind == "main" and r.criterion not in scaled}
    gaps = [
        abs(r.value - first[r.clip, r.criterion]) for r in own if r.kind == "repeat" and (r.clip, r.criterion) in first
    ]
    return float(np.mean(gaps)) if gaps else None
