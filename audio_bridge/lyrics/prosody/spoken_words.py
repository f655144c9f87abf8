"""Numbers, signs and abbreviations as the words that are sung: `1999` -> nineteen ninety-nine, `&` -> and, `Mr.` ->
Mister; in English, Portuguese and Spanish. Text of other languages is left as it is, and told.

English years (1100 to 1999, 2010 to 2099) are read in pairs, as are four digits without a comma; `1980s` is nineteen
eighties, `21st` twenty-first, `$5` five dollars, `10:30` ten thirty, `24/7` twenty-four seven, `007` digit by digit.
Portuguese and Spanish numbers are read whole, their ordinals (`2º`, `3ª`) up to the twentieth.
"""

import re

from audio_bridge.lyrics.lyric_text import LANGUAGES, SIGNS

_ONES = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
    "pt": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis dezessete "
    "dezoito dezenove",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis "
    "veintisiete veintiocho veintinueve",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "pt": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
}
_HUNDREDS = {
    "pt": "cento duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos",
    "es": "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos",
}
_MILLION = {"en": ("million", "million"), "pt": ("milhão", "milhões"), "es": ("millón", "millones")}
_THOUSAND = {"en": "thousand", "pt": "mil", "es": "mil"}
_ORDINALS = {
    "en": "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
    "pt": "zero primeiro segundo terceiro quarto quinto sexto sétimo oitavo nono décimo",
    "es": "cero primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo",
}
_SIGNS = {
    "en": {"&": "and", "+": "and", "@": "at", "%": "percent", "#": "number"},
    "pt": {"&": "e", "+": "mais", "@": "arroba", "%": "por cento", "#": "número"},
    "es": {"&": "y", "+": "más", "@": "arroba", "%": "por ciento", "#": "número"},
}
_MONEY = {
    "en": {"$": ("dollar", "dollars"), "€": ("euro", "euros"), "£": ("pound", "pounds")},
    "pt": {"$": ("dólar", "dólares"), "€": ("euro", "euros"), "£": ("libra", "libras"),
           "R$": ("real", "reais")},
    "es": {"$": ("dólar", "dólares"), "€": ("euro", "euros"), "£": ("libra", "libras")},
}  # fmt: skip
_SHORT = {
    "en": {"mr": "Mister", "mrs": "Missus", "ms": "Miz", "dr": "Doctor", "prof": "Professor", "jr": "junior",
           "sr": "senior", "vs": "versus", "etc": "et cetera", "ft": "featuring", "feat": "featuring"},
    "pt": {"sr": "senhor", "sra": "senhora", "srta": "senhorita", "dr": "doutor", "dra": "doutora", "etc": "et cetera"},
    "es": {"sr": "señor", "sra": "señora", "srta": "señorita", "dr": "doctor", "dra": "doctora", "ud": "usted",
           "uds": "ustedes", "etc": "etcétera"},
}  # fmt: skip
_DIGIT_O = "oh"  # how English reads the nought of 1905 and 007
_LONGEST = 9  # digits read as a number; more are read one by one
_END = "\0"  # marks the end of a number while a line is read, so that 4ever is two words
_BEFORE_NOUN = rf"\w*uno(?={_END} (?!(?:[yoeua]|de|en|con|que)\b)[^\W\d_])"  # Spanish: 21 días, not 1 y 2
_POINT = {"en": "point", "pt": "vírgula", "es": "coma"}


def spelled_out(line: str, language: str) -> str:
    """Return the line with its numbers, signs and abbreviations as words; signs that are none are dropped."""
    if language not in LANGUAGES:
        return " ".join(re.sub(f"[{re.escape(SIGNS)}]", "", line).split())
    begins_with_number = re.match(rf"R?\$|\d|[{re.escape(SIGNS)}]", line) is not None
    point, comma = (r"\.", ",") if language == "en" else (",", r"\.")
    number = rf"\d{{1,3}}(?:{comma}\d{{3}})+(?!\d)|\d+"
    line = _abbreviations(line, language)
    line = re.sub(r"(?<=[^\W\d_])\$(?=[^\W\d_])", "s", line)  # Ke$ha
    line = re.sub(rf"(R?\$|[€£]) ?({number})(?:{point}(\d\d))?(?!\d)", lambda m: _money(m, language), line)
    line = _english(line) if language == "en" else _romance(line, language)
    line = re.sub(r"(?<=\d)[:/-](?=\d)", " ", line)
    line = re.sub(rf"({number}){point}(\d+)", lambda m: _decimal(m, language), line)
    line = re.sub(rf"(?<=[^\W\d_])(?={number})", " ", line)
    line = re.sub(number, lambda m: _number(m[0], language), line)
    line = re.sub(_BEFORE_NOUN, lambda m: _short_form(m[0], language), line)
    line = re.sub(rf"{_END}(?=[^\W\d_])", " ", line).replace(_END, "")
    line = re.sub(r" +(?=[ ,.;:!?])", "", _signs(line, language)).strip()
    return line[:1].upper() + line[1:] if begins_with_number else line


def _english(line: str) -> str:
    """Spell decades, ordinals and the time of day."""
    line = re.sub(r"'?(\d*)(\d0)'?s\b", _decade, line)
    line = re.sub(r"(\d+)(?:st|nd|rd|th)\b", lambda m: _english_ordinal(int(m[1][-_LONGEST:])), line, flags=re.I)
    line = re.sub(r"\b(\d{1,2}):00\b", lambda m: f"{_cardinal(int(m[1]), 'en')} o'clock", line)
    return re.sub(r"\b(\d{1,2}):(0\d)\b", lambda m: f"{_cardinal(int(m[1]), 'en')} {_digits(m[2], 'en')}", line)


def _romance(line: str, language: str) -> str:
    """Spell ordinals."""
    return re.sub(r"\b(\d{1,2})[ºª°]", lambda m: _romance_ordinal(int(m[1]), m[0][-1] == "ª", language), line)


def _number(text: str, language: str) -> str:
    """Spell a run of digits with separators of thousands."""
    digits = re.sub(r"\D", "", text)
    if len(digits) > _LONGEST or (digits[0] == "0" and len(digits) > 1):
        return _digits(digits, language) + _END
    value = int(digits)
    paired = language == "en" and text == digits and len(digits) == 4 and not 2000 <= value < 2010 and value % 1000
    if paired:
        high, low = divmod(value, 100)
        after = "hundred" if not low else f"{_DIGIT_O} {_cardinal(low, 'en')}" if low < 10 else _cardinal(low, "en")
        return f"{_cardinal(high, 'en')} {after}{_END}"
    return _cardinal(value, language) + _END


def _cardinal(value: int, language: str) -> str:
    """Spell a whole number below 10 ** 9."""
    millions, rest = divmod(value, 10**6)
    thousands, below = divmod(rest, 1000)
    words = []
    if millions:
        words.append(f"{_short_form(_below_thousand(millions, language), language)} {_MILLION[language][millions > 1]}")
    if thousands:
        count = "" if thousands == 1 and language != "en" else _below_thousand(thousands, language)
        words.append(f"{_short_form(count, language)} {_THOUSAND[language]}".strip())
    if below or not words:
        joined = language == "pt" and words and (below <= 100 or below % 100 == 0)
        words.append(("e " if joined else "") + _below_thousand(below, language))
    return " ".join(words)


def _below_thousand(value: int, language: str) -> str:
    hundreds, rest = divmod(value, 100)
    if not hundreds:
        return _below_hundred(rest, language)
    if language == "en":
        head, link = f"{_ONES['en'].split()[hundreds]} hundred", " "
    elif value == 100:
        return "cem" if language == "pt" else "cien"
    else:
        head, link = _HUNDREDS[language].split()[hundreds - 1], " e " if language == "pt" else " "
    return head + (link + _below_hundred(rest, language) if rest else "")


def _below_hundred(value: int, language: str) -> str:
    ones = _ONES[language].split()
    if value < len(ones):
        return ones[value]
    tens, one = divmod(value, 10)
    link = {"en": "-", "pt": " e ", "es": " y "}[language]
    return _TENS[language].split()[tens - 2] + (link + ones[one] if one else "")


def _short_form(number: str, language: str) -> str:
    """Shorten a number as it is before a noun: veintiún mil, un millón."""
    if language != "es":
        return number
    return re.sub(r"veintiuno$", "veintiún", re.sub(r"(?<!veinti)uno$", "un", number))


def _digits(digits: str, language: str) -> str:
    ones = _ONES[language].split()
    return " ".join(_DIGIT_O if language == "en" and digit == "0" else ones[int(digit)] for digit in digits)


def _decimal(match: re.Match[str], language: str) -> str:
    ones = _ONES[language].split()
    after = " ".join(ones[int(digit)] for digit in match[2])
    return f"{_number(match[1], language)} {_POINT[language]} {after}{_END}"


def _money(match: re.Match[str], language: str) -> str:
    unit = _MONEY[language].get(match[1]) or _MONEY[language][match[1][-1]]
    value = int(re.sub(r"\D", "", match[2])[:_LONGEST])
    words = f"{_short_form(_cardinal(value, language), language)} {unit[value != 1]}"
    cents = f" {_cardinal(int(match[3]), language)}" if match[3] and int(match[3]) else ""
    return words + cents + _END


def _decade(match: re.Match[str]) -> str:
    if int(match[1] or 0) % 10 == 0 and match[2] == "00":
        return _cardinal(int(match[1] + "00"), "en") + "s" + _END
    tens = _cardinal(int(match[2]), "en") if match[2] != "00" else "hundred"
    plural = tens[:-1] + "ies" if tens.endswith("y") else tens + "s"
    return (f"{_cardinal(int(match[1]), 'en')} " if match[1] else "") + plural + _END


def _english_ordinal(value: int) -> str:
    head, _, last = re.sub("-", "- ", _cardinal(value, "en")).rpartition(" ")
    known = dict(zip(_ONES["en"].split(), _ORDINALS["en"].split()))
    ordinal = known.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{head} {ordinal}".replace("- ", "-").strip() + _END


def _romance_ordinal(value: int, is_feminine: bool, language: str) -> str:
    ones = _ORDINALS[language].split()
    tens = "vigésimo"
    if not 1 <= value <= 20:
        return _cardinal(value, language) + _END
    words = [ones[value]] if value <= 10 else [tens] if value == 20 else [ones[10], ones[value - 10]]
    return " ".join(word[:-1] + "a" if is_feminine else word for word in words) + _END


def _abbreviations(line: str, language: str) -> str:
    """Spell `Mr.` and its like, with or without the full stop where they begin with a capital."""
    known = _SHORT[language]

    def whole(match: re.Match[str]) -> str:
        word = known[match[1].lower()]
        is_name = match[1][0].isupper()
        return word[0].upper() + word[1:] if is_name else word[0].lower() + word[1:]

    names = "|".join(known)
    line = re.sub(rf"\b({names})\.(?=\s|$)", whole, line, flags=re.IGNORECASE)
    line = re.sub(r"\b(Mr|Mrs|Ms|Dr)(?= [A-Z])", whole, line) if language == "en" else line
    return re.sub(r"\bSt\. (?=[A-Z])", "Saint ", line) if language == "en" else line


def _signs(line: str, language: str) -> str:
    """Spell signs that stand beside spaces or words, and drop the others."""
    words = _SIGNS[language]
    for sign in "&+@%":
        line = re.sub(rf"(?<=[\w'\s]) ?{re.escape(sign)} ?(?=[\w'\s,.;:!?)]|$)", f" {words[sign]} ", line)
    line = re.sub(r"#(?=\w)", f"{words['#']} ", line)
    return re.sub(f"[{re.escape(SIGNS)}&]", "", line)
