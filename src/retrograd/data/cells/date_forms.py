"""Date formats such as %d/%m/%Y: what each directive matches in a cell; a time of day may follow."""

from __future__ import annotations

import functools
import re

MONTHS = {
    1: "jan janv jän jänner january januar janvier enero ene gennaio gen janeiro januari",
    2: "feb febr february februar février fév févr fevrier febrero febbraio fevereiro fev februari",
    3: "mar march märz mär mrz mars marzo março maart mrt",
    4: "apr april avril avr abril abr aprile",
    5: "may mai mayo maggio mag maio mei",
    6: "jun june juni juin junio giugno giu junho",
    7: "jul july juli juillet juil julio luglio lug julho",
    8: "aug august août aou aout agosto ago augustus",
    9: "sep sept september septembre septiembre settembre set setembro",
    10: "oct october oktober okt octobre octubre ottobre ott outubro out",
    11: "nov november novembre noviembre novembro",
    12: "dec december dezember dez décembre déc decembre diciembre dic dicembre dezembro",
}
MONTH_NUMBERS = {name: number for number, names in MONTHS.items() for name in names.split()}
WEEKDAYS = (
    "mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday saturday sunday mo di mi do "
    "fr sa so montag dienstag mittwoch donnerstag freitag samstag sonntag lun mar mer jeu ven sam dim lundi mardi "
    "mercredi jeudi vendredi samedi dimanche lunes martes miércoles jueves viernes sábado domingo"
)
ZONES = {  # hours; the names in RFC 2822, and those used in Europe
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "wet": 0, "cet": 1, "mez": 1, "cest": 2, "mesz": 2, "eet": 2, "eest": 3,
    "bst": 1, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
NAME = r"(?P<b>\p{L}{3,}\.?)"
DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})", "e": r"(?P<d>\d{1,2})",
    "b": NAME, "B": NAME, "h": NAME, "j": r"(?P<j>\d{1,3})", "q": r"(?P<q>[1-4])", "V": r"(?P<V>\d{1,2})",
    "U": r"(?P<V>\d{1,2})", "W": r"(?P<V>\d{1,2})", "G": r"(?P<Y>\d{4})", "u": r"(?P<u>[1-7])", "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<H>\d{1,2})", "k": r"(?P<H>\d{1,2})", "l": r"(?P<H>\d{1,2})", "M": r"(?P<M>\d{2})",
    "S": r"(?P<S>\d{2})(?P<f>[.,]\d+)?", "f": r"(?P<f>\d+)", "p": r"(?P<p>[AaPp]\.?[Mm]\.?)", "%": "%",
    "z": r"(?P<z>{zone})?", "Z": r"(?P<z>{zone})?", "a": r"(?i:{day})\.?", "A": r"(?i:{day})\.?",
}  # fmt: skip
SHORTHANDS = {
    "%S.%f": "%S", "%S,%f": "%S", "%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y",
    "%r": "%I:%M:%S %p", "%.f": "", "%#z": "%z", "%:z": "%z", "%-": "%", "%#": "%",
}  # fmt: skip
ZONE = r"Z|z|(?:UTC|GMT)?[+-]\d{2}:?(?:\d{2})?|\p{L}{2,4}T|UTC|UT|MEZ|MESZ"
DAY = "|".join(sorted(WEEKDAYS.split(), key=len, reverse=True))
CLOCK = (
    r"(?P<H>\d{1,2})\s*[:.h时時点點]\s*(?P<M>\d{2})(?:\s*[:.m分]\s*(?P<S>\d{2})秒?(?P<f>[.,]\d+)?|分|m|h)?"
    rf"\s*(?P<p>[AaPp]\.?\s?[Mm]\.?)?(?:\s*(?:Uhr|h))?\s*(?P<z>{ZONE})?(?:\s*[(\[][^)\]]*[)\]])?"
)
HALF = r"(?P<half>上午|下午|午前|午後|오전|오후)?\s*"
TAIL = rf"(?:(?:\s*[T,:_]\s*|\s+|\s+-\s+|\s+(?:at|um|à|a las)\s+|)(?:星期.|周.|\(.\))?\s*{HALF}{CLOCK})?"
HOURS = "HIkl"


@functools.cache
def pattern(form: str) -> str:
    """Return the pattern of a cell with a date in this format; a time of day may follow if the format has none.

    Raises:  ValueError for an unknown directive, or a format without directives
    """
    for short, long in SHORTHANDS.items():
        form = form.replace(short, long)
    tokens = re.findall(r"%.|[^%]|%$", form)
    directives = [token[1] for token in tokens if len(token) == 2]
    known = [directive for directive in directives if directive not in "%aA"]
    if not known or any(directive not in DIRECTIVES for directive in directives) or len(set(known)) < len(known):
        raise ValueError(f"'{form}' is not a date format")
    has_name = any(directive in "bBh" for directive in directives)
    parts = [_part(tokens, i, has_name) for i in range(len(tokens))]
    has_time = any(directive in HOURS for directive in directives)
    before = rf"(?:(?i:{DAY})\.?,?\s+)?" if directives[0] not in "aA" and not tokens[0].isspace() else ""
    body = "".join(parts).replace("{zone}", ZONE).replace("{day}", DAY)
    after = rf"\s*(?P<p>[AaPp]\.?[Mm]\.?)?\s*(?P<z>{ZONE})?" if has_time else TAIL
    if has_time:
        after = "" if "(?P<z>" in body else after if "(?P<p>" not in body else rf"\s*(?P<z>{ZONE})?"
        after = after.replace(r"(?P<p>[AaPp]\.?[Mm]\.?)?\s*", "") if "(?P<p>" in body else after
    return rf"^{before}{body}{after}$"


def marks(form: str) -> set[str]:
    """Return the characters that every date in a format has; formats with month names allow any mark."""
    return set() if re.search("%[bBh]", form) else {*re.sub("%.", "", form)} - {" ", "T"}


def _part(tokens: list[str], i: int, has_name: bool) -> str:
    """Return the pattern of one token: adjacent numbers have two digits each; month names go with any mark."""
    token = tokens[i]
    if len(token) == 1:
        if has_name and token in " -./,":
            return r"[\s./,_-]*(?:(?:of|de|del)\s+)?" if i and tokens[i - 1] not in " -./," else ""
        return r"\s+" if token.isspace() else r"[T\s]" if token == "T" else re.escape(token)
    part = DIRECTIVES[token[1]]
    digits = r"\d{1,2}"
    neighbours = [tokens[j] for j in (i - 1, i + 1) if 0 <= j < len(tokens)]
    if any(len(neighbour) == 2 and neighbour[1] not in "bBhpzZaA" for neighbour in neighbours):
        part = part.replace(digits, r"\d{2}")
    return part.replace(r"\d{1,2})", r"\d{1,2})(?:st|nd|rd|th|er|º|ª)?") if has_name and token[1] in "de" else part


def has_week(form: str) -> bool:
    """Return whether a format contains the day, so that weekdays are meaningful."""
    return any(f"%{directive}" in form for directive in ("d", "e", "j", "u", "F", "D", "-d", "#d"))


def has_year(form: str) -> bool:
    """Return whether a format contains the year."""
    return any(f"%{directive}" in form for directive in "YyGFD")


def example(form: str) -> str:
    """Return the last day of 2024 in this format."""
    for short, long in SHORTHANDS.items():
        form = form.replace(short, long)
    shown = {
        "Y": "2024", "y": "24", "m": "12", "d": "31", "e": "31", "b": "Dec", "B": "December", "h": "Dec", "j": "366",
        "q": "4", "V": "52", "U": "52", "W": "52", "G": "2024", "u": "7", "H": "13", "I": "1", "k": "13", "l": "1",
        "M": "45", "S": "00", "f": "0", "p": "PM", "z": "+0000", "Z": "UTC", "a": "Tue", "A": "Tuesday", "%": "%",
    }  # fmt: skip
    return re.sub("%(.)", lambda match: shown.get(match[1], match[0]), form)
