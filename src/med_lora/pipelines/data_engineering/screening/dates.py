"""Days and months of a person's life, and ages of 90 and more. A year alone and a month alone stay."""

from __future__ import annotations

import re

from med_lora.pipelines.data_engineering.screening.spans import Rule

_MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?\.?|July?\.?|Aug(?:ust|\.)?|"
    r"Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|"
    r"NOV|DEC)"
)
# A month with a digit close behind or before it: "March 2021", "4th of March".
_MONTH_GUARD = re.compile(
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
    r"(?:(?<=[0-9htdf][ -]...)|[^\n0-9]{0,12}[0-9])"
).search
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?:19|20)\d{2}"
_WEEKDAY = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,? |(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\.?,? )?"
_WRITTEN = re.compile(
    rf"\b{_WEEKDAY}(?:(?:the )?{_DAY}[ -](?:of )?{_MONTH},?[ -]{_YEAR}|{_MONTH} {_DAY},? {_YEAR}|{_MONTH},?[ -]"
    rf"(?:of )?{_YEAR})(?!\d|[-/]\d)"
)
# Without a year only behind a word that ties the day to an event of somebody's life.
_EVENT = (
    r"(?i:on|since|from|until|till|by|dated?|born|birthday|admitted|discharged|seen|visit|operated|started|began|last)"
)
_DAY_AND_MONTH = re.compile(
    rf"\b{_EVENT}:? (?P<id>{_WEEKDAY}(?:(?:the )?{_DAY} (?:of )?{_MONTH}|{_MONTH} {_DAY}))(?![\w/]|-\d|\.\d|,? "
    rf"(?:19|20)\d\d)"
)
_NUMERIC = re.compile(
    r"(?<![\w./,-])(?P<id>(?P<a>\d{1,2})(?P<mark>[/.-])(?P<b>\d{1,2})(?P=mark)(?P<year>(?:19|20)\d{2}|\d{2})"
    r"|(?:19|20)\d{2}(?P<iso>[-/.])(?P<month>0[1-9]|1[0-2])(?P=iso)(?P<day>0[1-9]|[12]\d|3[01]))(?![\w/-]|\.\d)"
)
_NUMERIC_GUARD = re.compile(r"[0-9][/.-][0-9]{1,2}[/.-][0-9]").search
# The date of a text, a rule or a decision, not of a person.
_PUBLISHED = re.compile(
    r"(?i)\b(?:updated?|published|publication|revised|last reviewed|accessed|retrieved|approved|approval|copyright|"
    r"version|"
    r"guidelines?|issued|fda|effective|posted|modified|as of|edition|journal|press release)\b[^.!?\n\d]{0,40}$"
)
_DECIDED = re.compile(
    r"\)?,? (?:the )?(?:US |U\.S\. )?(?:FDA|Food and Drug|Preventive|CDC|WHO|EMA|NICE|NIH|Congress)\b|;? ?\(UTC\)"
)
_AGE = r"(?P<id>(?:9\d|1[01]\d)(?:[- ]?years?[- ]olds?|[- ]?yrs?[- ]old|\s?(?:y/o|yo)\b|-year-olds?| years? of age))"
_AGE_GUARD = re.compile(r"(?:9[0-9]|1[01][0-9])(?![0-9])").search
_AGE_FIRST = re.compile(rf"(?<![\w./,-]){_AGE}(?!\w)")
_AGE_LAST = re.compile(
    r"\b(?i:aged?|age of|age:|years old:)(?: of)?\s{0,2}:?\s?(?P<id>9\d|1[01]\d)(?![\w%]|[.,/-]\d|\s?(?i:to|-|–|and "
    r"(?:over|older|above|up)|"
    r"or (?:over|older|above|more)|%|percent|months?|days?|weeks?)\b)"
)
_GENERAL = re.compile(
    r"(?i)(?:\b(?:over|under|than|least|until|about|above|below|between|and|to|or|up to|before|after|past|beyond|"
    r"by)|[<>≥≤-])"
    r"(?: the)?(?: age(?:d| of)?)? ?$"
)
_GENERAL_AFTER = re.compile(r"(?i) ?(?:and|or) (?:over|older|above|more)")


def _is_of_a_person(match: re.Match[str]) -> bool:
    if _DECIDED.match(match.string, match.end()):
        return False
    return _PUBLISHED.search(match.string, max(0, match.start() - 70), match.start()) is None


def _is_date(match: re.Match[str]) -> bool:
    if match["iso"] is None:
        first, second = int(match["a"]), int(match["b"])
        if not 1 <= min(first, second) <= 12 or max(first, second) > 31:
            return False
        # Two digits for the year are read between slashes alone: 12.05.19 is a number of a section.
        if len(match["year"]) == 2 and match["mark"] != "/":
            return False
    return _is_of_a_person(match)


def _is_age_of_a_person(match: re.Match[str]) -> bool:
    before = _GENERAL.search(match.string, max(0, match.start() - 30), match.start())
    return before is None and not _GENERAL_AFTER.match(match.string, match.end())


RULES = (
    Rule("dates", _NUMERIC, guard=_NUMERIC_GUARD, accepts=_is_date),
    Rule("dates", _WRITTEN, guard=_MONTH_GUARD, accepts=_is_of_a_person),
    Rule("dates", _DAY_AND_MONTH, guard=_MONTH_GUARD, accepts=_is_of_a_person),
    Rule("dates", _AGE_FIRST, guard=_AGE_GUARD, accepts=_is_age_of_a_person),
    Rule("dates", _AGE_LAST, ("age", "years old:"), guard=_AGE_GUARD, accepts=_is_age_of_a_person),
)
