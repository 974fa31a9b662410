"""Lists of SIMs as people have them: typed, pasted, or exported by a portal or a spreadsheet."""

import ast
from collections.abc import Iterator, Sequence
import csv
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address
import json
import re
from typing import Any, Final

from .api import ACTIVATED_WORDS, SimStatus, normalize_iccid, one_line

MAX_NAME_LENGTH: Final = 100
MAX_FILE_SIZE: Final = 1024 * 1024
MIN_LENGTH: Final = 18
MAX_LENGTH: Final = 22
# The identity of an eSIM, which begins as an ICCID does.
EID_LENGTH: Final = 32
ICCID_PREFIX: Final = "89"
# A number that begins as an ICCID and has fewer digits is another number of a SIM that was found.
MIN_WRONG_LENGTH: Final = 16
MIN_LONG_NUMBER: Final = 9
# More groups than an EID has digits.
MAX_GROUPS: Final = 40
# What is further from an ICCID is no part of its name.
MAX_SEGMENT: Final = 1000
# A quoted cell of a table with more lines is a stray quote.
MAX_CELL_LINES: Final = 5

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"

_FULL_WIDTH: Final = {0xFF10 + digit: 0x30 + digit for digit in range(10)}
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
    # They join letters and emoji, but no digits.
    "|(?<=[0-9])[\u200c\u200d]+|[\u200c\u200d]{1,9}(?=[0-9])"
)
# Letters that people type for digits.
_LOOKALIKES: Final = str.maketrans("OoIl", "0011")

# What modems, portals and people write before an ICCID.
_ICCID_LABEL: Final = re.compile(
    r"(?i)[+^#%]?(?<![a-z])[A-Z]?(?:ICC[-_ ]?ID|CCID)(?:[-_ ]?(?:no|nr|number|nummer)\b\.?)?(?![a-z])[\"']?\s*[:=#]?"
)
_CARD_WORD: Final = (
    r"(?:sims?|cards?|karten?|kart[ay]|kort|carte|tarjeta|scheda|kaart|cart[aã]o|chip|serial"
    r"|numbers?|nummer|num[eé]ro|n[úu]mero|no|nr|id)"
)
_CARD_LABEL: Final = re.compile(rf"(?i)(?:{_CARD_WORD}[\s#.:-]*)+[0-9]*")
_BULLET: Final = re.compile(
    r"\s*(?:[-*+•‣▪◦·●○\u2013\u2014>#]+(?=[\s\x00]|$)|\(?[0-9]{1,4}[.):](?=[\s\x00]|$)|\[[ xX✓]?\](?=\s))\s*"
)
_BETWEEN: Final = r"[^\S\t]|[.\-\u2010-\u2015\u2212\ufe63]"
# Bounded, as a text may be one long number.
_GROUP: Final = re.compile(r"[0-9][0-9A-Fa-f]{0,99}")
_GROUP_IN_RUN: Final = re.compile(r"[0-9A-Fa-f]+")
_RUN: Final = re.compile(
    rf"(?<![0-9])(?<![0-9][A-Za-z]){_GROUP.pattern}(?:(?:{_BETWEEN}){{1,3}}{_GROUP.pattern})*(?![0-9A-Za-z])"
)
_LETTERS: Final = re.compile(r"(?<![0-9A-Za-z])89[0-9]{4}[0-9A-Za-z]{6,}")
_SPREADSHEET: Final = re.compile(
    r"(?<![0-9A-Za-z])[0-9](?:[.,][0-9]*)?E\+?(?:1[6-9]|2[0-2])\b", re.IGNORECASE
)

_SEPARATORS: Final = ("\t", ";", "|", ",")
_QUOTED: Final = re.compile(r'(?:^|(?<=[\t;|,]))\s*"(?:[^"]|"")*"(?=\s*(?:[\t;|,]|$))')
_OPEN_QUOTE: Final = re.compile(r'(?:^|[\t;|,])\s*"[^"]*$')
_WIDE_GAP: Final = re.compile(r"\s{2,}")
_KEY: Final = re.compile(
    r"[\s\"'{]*([^\W\d_][\w .-]{0,30}?)[\"']?\s*(?::(?!//)|=)\s*(.*)", re.DOTALL
)
# What separates a name from an ICCID, in Chinese texts too.
_PUNCTUATION: Final = " \t:=-\u2013\u2014>#,.\"'/*\u3001\uff0c\uff1a\uff1b"
_PAIRS: Final = {"(": ")", "[": "]", "{": "}", "<": ">"}

_DATE: Final = re.compile(
    r"(?i)[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}(?:[T ,].*)?"
    r"|[0-9]{1,2}\.? ?[-/]?[a-zéûä]{3,9}\.?[-/ ]+[0-9]{2,4}(?:[ ,].*)?|[a-z]{3,9} [0-9]{1,2}, [0-9]{4}(?:[ ,].*)?"
)
_ADDRESS: Final = re.compile(r"(?i)\w+://\S+|\S+@\S+\.\S+|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}")
_SIZE: Final = re.compile(r"(?i)[0-9.,]+ ?(?:[kmgt]i?)?(?:b|bytes?)")
_NO_NAMES: Final = frozenset(
    {"", "n/a", "na", "null", "none", "nil", "nan", "true", "false", "yes", "no", "unknown"}
    | {status.replace("_", " ").lower() for status in SimStatus}
    | ACTIVATED_WORDS
)
# What stands in a list between SIMs: the echo of a modem, the hint of a spreadsheet, the count of a database, a heading.
_NOTHING: Final = re.compile(r"(?i)[\W_]*|OK|AT[+#^%]?\w*[?=]*|sep=.|\([0-9]+ rows?\)|[^0-9]*:")

# The titles of columns, in one spelling; those of names with the best one first.
_ICCID_COLUMNS: Final = frozenset(
    {
        *("icc", "ccid", "simnumber", "simnummer", "simno", "simnr", "simid", "simserial"),
        *("simserialnumber", "simcardnumber", "simkartennummer", "kartennummer", "cardnumber"),
        *("numérosim",),
    }
)
# A column of this title holds ICCIDs where no other one does.
_CARD_COLUMNS: Final = frozenset(
    {
        *("sim", "sims", "simcard", "simkarte", "card", "karte", "serialnumber"),
    }
)
_NAME_COLUMNS: Final = (
    *("name", "simname", "friendlyname", "devicename", "endpointname", "uniquename"),
    *("nickname", "nom", "nombre", "nome", "naam", "namn", "navn", "nazwa", "název"),
    *("gerätename", "label", "simlabel", "alias", "simalias", "title", "deviceid"),
    *("bezeichnung", "libellé", "étiquette", "etiqueta", "etichetta", "etikett"),
    *("etykieta", "označení", "description", "desc", "beschreibung", "descripción"),
    *("descrição", "descrizione", "omschrijving", "beskrivning", "beskrivelse", "opis"),
    *("popis", "device", "gerät", "location", "standort", "site", "notes", "simnotes"),
    *("note", "comment", "comments", "remark", "remarks", "bemerkung", "bemerkungen"),
    *("notiz", "notizen", "kommentar", "commentaire", "opmerking", "notas", "nota"),
)
_OTHER_COLUMNS: Final = frozenset(
    {
        *("imsi", "msisdn", "imei", "eid", "ip", "ipaddress", "ipadresse", "ipv4", "ipv6"),
        *("apn", "pin", "pin1", "pin2", "puk", "puk1", "puk2", "status", "state", "simstatus"),
        *("phone", "phonenumber", "telephone", "telefon", "mobile", "rufnummer", "network"),
        *("operator", "carrier", "plan", "rateplan", "tariff", "tarif", "customer", "date"),
        *("datum", "created", "activated", "dateactivated", "datecreated", "usage"),
        *("datausage", "country", "mac"),
    }
)


class Problem(StrEnum):
    """Why no SIM can be read from an entry."""

    NO_ICCID = "no_iccid"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    LETTERS = "letters"
    SPREADSHEET_NUMBER = "spreadsheet_number"
    EID = "eid"


class FileProblem(StrEnum):
    """Why a file cannot be read."""

    TOO_LARGE = "file_too_large"
    SPREADSHEET = "file_is_spreadsheet"
    NO_TEXT = "file_is_no_text"
    GONE = "file_is_gone"


@dataclass(frozen=True, slots=True)
class ListedSim:
    """A SIM in a list; its name is empty where the list has none."""

    iccid: str
    name: str = ""

    def as_line(self) -> str:
        """Return a line that is read as this SIM."""
        line = f"{self.iccid}, {self.name}" if self.name else self.iccid
        if read_sims(line).sims == (self,):
            return line
        quoted = self.name.replace('"', '""')
        return f'{self.iccid}, "{quoted}"'


@dataclass(frozen=True, slots=True)
class WrongLine:
    """An entry from which no SIM can be read, as it was typed."""

    text: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class SimList:
    """What was read from a text, in its order."""

    sims: tuple[ListedSim, ...] = ()
    wrong: tuple[WrongLine, ...] = ()

    def __add__(self, other: SimList) -> SimList:
        """Return both lists as one."""
        return SimList(self.sims + other.sims, self.wrong + other.wrong)


type _Entry = ListedSim | WrongLine


def decode_file(content: bytes) -> str | FileProblem:
    """Return the text of a file, whichever program saved it."""
    if len(content) > MAX_FILE_SIZE:
        return FileProblem.TOO_LARGE
    if content.startswith((_ZIP, _OLE)):
        return FileProblem.SPREADSHEET
    text = _decode(content)
    return FileProblem.NO_TEXT if "\x00" in text or text.startswith("%PDF-") else text


def _decode(content: bytes) -> str:
    """Return bytes as text: UTF-16, UTF-8 or what Windows saves in Western languages."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if content[1:2] == b"\x00" and content[3:4] == b"\x00":
        return content.decode("utf-16-le", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_sims(text: str) -> SimList:
    """Return the SIMs in a text, each once and with its name, and the entries that are wrong."""
    text = _INVISIBLE.sub("", text)
    entries = _parse_literal(text)
    sims: dict[str, ListedSim] = {}
    wrong: dict[WrongLine, None] = {}
    for entry in _Lines(text).read() if entries is None else entries:
        if isinstance(entry, WrongLine):
            wrong[entry] = None
        elif entry.iccid not in sims or not sims[entry.iccid].name:
            sims[entry.iccid] = entry
    return SimList(tuple(sims.values()), tuple(wrong))


# --- JSON and Python ---------------------------------------------------------------------------------------------


def _parse_literal(text: str) -> list[_Entry] | None:
    """Return the entries of a list or an object in JSON or Python; None if the text is neither."""
    if not text.lstrip().startswith(("[", "{", "(")):
        return None
    try:
        value = json.loads(text, parse_int=str, parse_float=str)
    except ValueError, RecursionError:
        try:
            value = ast.literal_eval(text.strip())
        except ValueError, SyntaxError, TypeError, MemoryError, RecursionError:
            return None
    try:
        return list(_walk(value))
    except RecursionError:
        return None


def _walk(value: Any) -> Iterator[_Entry]:
    """Yield the entries of a parsed value."""
    if isinstance(value, dict):
        yield from _walk_object(value)
    elif isinstance(value, list | tuple | set):
        for item in value:
            if isinstance(item, list | tuple) and all(_is_scalar(each) for each in item):
                yield from _read_line("\t".join(_as_text(each) for each in item))
            else:
                yield from _walk(item)
    else:
        yield from _read_line(_as_text(value))


def _walk_object(value: dict[Any, Any]) -> Iterator[_Entry]:
    """Yield the SIM that an object is, or those in it."""
    columns = _Columns.of([str(key) for key in value])
    if columns is not None:
        yield from columns.read([_as_text(each) for each in value.values()], "")
        return
    for key, each in value.items():
        if normalize_iccid(str(key)) and _is_scalar(each):
            yield from _read_line(f"{key}\t{_as_text(each)}")
        elif not _is_scalar(each):
            yield from _walk(each)


def _is_scalar(value: Any) -> bool:
    """Return whether a parsed value holds no others."""
    return not isinstance(value, list | tuple | set | dict)


def _as_text(value: Any) -> str:
    """Return a parsed value as the cell of a table."""
    return "" if value is None or not _is_scalar(value) else one_line(str(value))


# --- Tables ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a table that hold ICCIDs and names, the best one first."""

    iccid: int
    names: tuple[int, ...]
    count: int
    separator: str = ","

    @classmethod
    def of(cls, titles: Sequence[str], separator: str = ",") -> _Columns | None:
        """Return the columns by their titles; None if none of them holds ICCIDs."""
        kinds = [_column(title) for title in titles]
        found = [
            n for n, kind in enumerate(kinds) if kind.endswith("iccid") or kind in _ICCID_COLUMNS
        ]
        if not found and len([kind for kind in kinds if _is_known(kind)]) > 1:
            found = [n for n, kind in enumerate(kinds) if kind in _CARD_COLUMNS]
        if not found:
            return None
        names = sorted(
            (n for n, kind in enumerate(kinds) if kind in _NAME_COLUMNS),
            key=lambda n: _NAME_COLUMNS.index(kinds[n]),
        )
        first = next((n for n in found if kinds[n] == "iccid"), found[0])
        return cls(first, tuple(names), len(titles), separator)

    def fits(self, cells: Sequence[str]) -> bool:
        """Return whether a row of another length has its ICCID where it belongs."""
        return 1 < len(cells) > self.iccid and bool(_find(cells[self.iccid])[0])

    def read(self, cells: Sequence[str], line: str) -> Iterator[_Entry]:
        """Yield the SIM in a row, or why there is none."""
        if not any(cells):
            return
        cells = [*cells, *[""] * (self.count - len(cells))]
        name = next(filter(None, (_clean_name(cells[n]) for n in self.names)), "")
        cell = cells[self.iccid]
        found = _find(_ICCID_LABEL.sub(" ", cell))[0]
        if found and (iccid := found[0].iccid) is not None:
            yield ListedSim(iccid, name)
        else:
            text = ", ".join(filter(None, [cell.strip(), name])) or line or ", ".join(cells)
            yield WrongLine(one_line(text), _problem(cell))


def _column(title: str) -> str:
    """Return the title of a column in one spelling."""
    return re.sub(r"[\W_]+", "", title.casefold()).replace("iccids", "iccid")


def _is_known(column: str) -> bool:
    """Return whether the title of a column is a known one."""
    return column in _CARD_COLUMNS or column in _NAME_COLUMNS or column in _OTHER_COLUMNS


def _split_cells(line: str, separator: str) -> list[str]:
    """Return the cells of a line."""
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        cells = line.split(separator)
    cells = [cell.strip() for cell in cells]
    if separator == "|" and cells and not cells[0]:
        # A table in markdown has one more on each side.
        cells = cells[1 : -1 if not cells[-1] else None]
    return cells


def _separator(line: str) -> str | None:
    """Return what separates the cells of a line; None if it has one cell only."""
    bare = _QUOTED.sub("", line)
    return next((each for each in _SEPARATORS if each in bare), None)


def _read_titles(line: str) -> _Columns | None:
    """Return the columns of a table whose titles a line has; None if it has none."""
    if re.search(r"[0-9]{5}", line):
        return None
    separator = _separator(line) or ","
    return _Columns.of(_split_cells(line, separator), separator)


# --- Lines -------------------------------------------------------------------------------------------------------


class _Lines:
    """Reads the lines of a text, of which some say what the next ones are."""

    def __init__(self, text: str) -> None:
        """Start before the first line."""
        self._lines = list(_join_quoted(text.splitlines()))
        self._columns: _Columns | None = None
        self._entries: list[_Entry] = []
        # How many entries there were at the last blank line, and the name that a line of its own gave to the next SIM.
        self._before = 0
        self._name = ""

    def read(self) -> list[_Entry]:
        """Return the entries of all lines."""
        for line in self._lines:
            if not line.strip():
                self._before, self._name = len(self._entries), ""
            elif (columns := _read_titles(line)) is not None:
                # The title of the only column says nothing of names.
                self._columns = columns if columns.count > 1 else None
            elif not self._take_property(line):
                self._add(self._read_row(line))
        return self._entries

    def _read_row(self, line: str) -> list[_Entry]:
        """Return the entries of a line, which is a row if titles came before."""
        columns = self._columns
        if columns is not None and not _NOTHING.fullmatch(line.strip()):
            cells = _split_cells(line, columns.separator)
            if len(cells) == columns.count or columns.fits(cells):
                return list(columns.read(cells, line.strip()))
        return list(_read_line(line))

    def _take_property(self, line: str) -> bool:
        """Return whether a line only has another property of a SIM, and keep its name."""
        found = _KEY.fullmatch(line.strip().lstrip("-*• "))
        if found is None:
            return False
        kind = _column(found[1])
        is_name = kind in _NAME_COLUMNS
        if not (is_name or kind in _OTHER_COLUMNS) or _find(line)[0]:
            return False
        if is_name:
            self._name = _clean_name(_strip(found[2]))
            if len(self._entries) > self._before:
                self._entries[-1] = self._named(self._entries[-1])
        return True

    def _add(self, found: list[_Entry]) -> None:
        """Add the entries of a line, the first with the name that the line before has given to it."""
        self._entries += [self._named(found[0]), *found[1:]] if found else []

    def _named(self, entry: _Entry) -> _Entry:
        """Return an entry with the kept name if it has none of its own."""
        if not self._name or isinstance(entry, WrongLine) or entry.name:
            return entry
        name, self._name = self._name, ""
        return replace(entry, name=name)


def _join_quoted(lines: list[str]) -> Iterator[str]:
    """Yield lines, those of one quoted cell as one."""
    n = 0
    while n < len(lines):
        size = 1
        if _is_open(lines[n]):
            sizes = range(2, MAX_CELL_LINES + 1)
            size = next((size for size in sizes if _is_one_row(lines[n : n + size])), 1)
        yield " ".join(lines[n : n + size])
        n += size


def _is_open(line: str) -> bool:
    """Return whether a line ends within a quoted cell."""
    return '"' in line and bool(_OPEN_QUOTE.search(_QUOTED.sub("", line)))


def _is_one_row(lines: list[str]) -> bool:
    """Return whether a quoted cell goes over these lines."""
    joined = " ".join(lines)
    return not _is_open(joined) and len(_find(joined)[0]) <= 1


def _read_line(line: str) -> Iterator[_Entry]:
    """Yield the SIMs in a line without known columns, and what is wrong in it."""
    text = _ICCID_LABEL.sub(" ", line)
    found, wrong = _find(text)
    if not found:
        is_title = text != line and not re.search("[0-9]", line)
        if not is_title and not _NOTHING.fullmatch(line.strip()):
            yield WrongLine(one_line(line), _problem(text))
        return
    spans = sorted([*found, *wrong], key=lambda span: span.start)
    for span, segment in zip(spans, _segments(text, spans), strict=True):
        if span.iccid is not None:
            yield ListedSim(span.iccid, _read_name(segment))
        else:
            number = text[span.start : span.end]
            yield WrongLine(one_line(number), _problem(number))


# --- ICCIDs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of a line: an ICCID, or without one what was meant to be one."""

    start: int
    end: int
    iccid: str | None


def _find(text: str) -> tuple[list[_Span], list[_Span]]:
    """Return the ICCIDs in a line, in the groups that cards print too, and what else was meant to be one."""
    text = text.translate(_FULL_WIDTH)
    spans = [span for run in _RUN.finditer(text) for span in _read_run(run)]
    found = [span for span in spans if span.iccid is not None]
    if not found:
        return [], []
    wrong = [span for span in spans if span.iccid is None]
    wrong += [
        _Span(each.start(), each.end(), None)
        for each in _LETTERS.finditer(text)
        if not each[0].isdecimal() and not normalize_iccid(each[0])
    ]
    usual = [span for span in found if text.startswith(ICCID_PREFIX, span.start)]
    return usual or found, [span for span in wrong if _is_meant(text[span.start : span.end])]


def _is_meant(text: str) -> bool:
    """Return whether a text that is no ICCID was meant to be one, beside others."""
    length = sum(letter.isalnum() for letter in text)
    return length >= MIN_WRONG_LENGTH and length != EID_LENGTH


def _read_run(run: re.Match[str]) -> Iterator[_Span]:
    """Yield the numbers in groups of digits that begin as an ICCID, and other numbers that may be one."""
    groups = list(_GROUP_IN_RUN.finditer(run[0]))
    n = 0
    while n < len(groups):
        size, iccid = _first_iccid([group[0] for group in groups[n : n + MAX_GROUPS]])
        start, end = groups[n].start(), groups[n + size - 1].end()
        if iccid is not None or groups[n][0].startswith(ICCID_PREFIX):
            yield _Span(run.start() + start, run.start() + end, iccid)
        # A spreadsheet may write a number with a decimal.
        n += size + (iccid is not None and run[0].startswith(".0", end))


def _first_iccid(groups: list[str]) -> tuple[int, str | None]:
    """Return how many groups the first number is, and the ICCID that it is."""
    if (iccid := normalize_iccid(groups[0])) is not None or not groups[0].startswith(ICCID_PREFIX):
        return 1, iccid
    joined = groups[0]
    size = 1
    for group in groups[1:]:
        is_whole = len(joined) >= MIN_LENGTH
        digits = group.rstrip("Ff")
        if normalize_iccid(group) or (
            is_whole and (group.startswith(ICCID_PREFIX) or not digits.isdecimal())
        ):
            break
        # A longer number is another one; more groups belong to this one, which is too long.
        if len(joined + digits) > MAX_LENGTH and len(digits) > len("00000"):
            break
        joined += group
        size += 1
    return size, normalize_iccid(joined)


def _problem(text: str) -> Problem:
    """Return why there is no ICCID in a text."""
    if _SPREADSHEET.search(text):
        return Problem.SPREADSHEET_NUMBER
    has_letters = any(not number.isdecimal() for number in _LETTERS.findall(text))
    if has_letters or _find(text.translate(_LOOKALIKES))[0]:
        return Problem.LETTERS
    runs = [re.sub("[^0-9A-Fa-f]", "", run[0]) for run in _RUN.finditer(text)]
    number = max(runs, key=lambda run: (run.startswith(ICCID_PREFIX), len(run)), default="")
    if len(number) > MAX_LENGTH:
        return Problem.EID if len(number) == EID_LENGTH else Problem.TOO_LONG
    is_number = number.startswith(ICCID_PREFIX) or not re.search(r"[^\W\d_]", text)
    if 0 < len(number) < MIN_LENGTH and (is_number or len(number) >= MIN_LONG_NUMBER):
        return Problem.TOO_SHORT
    return Problem.NO_ICCID


# --- Names -------------------------------------------------------------------------------------------------------


def _segments(text: str, spans: list[_Span]) -> Iterator[str]:
    """Yield what belongs to each ICCID of a line, with NUL in its place: what follows, or else what is before."""
    names_first = len(spans) == 1 or re.search(r"[^\W\d_]", text[: spans[0].start])
    for n, span in enumerate(spans):
        start = spans[n - 1].end if n else 0
        end = spans[n + 1].start if n + 1 < len(spans) else len(text)
        if names_first:
            end = span.end if n + 1 < len(spans) else len(text)
        elif n:
            start = span.start
        before = text[max(start, span.start - MAX_SEGMENT) : span.start]
        yield f"{before}\x00{text[span.end : min(end, span.end + MAX_SEGMENT)]}"


def _read_name(segment: str) -> str:
    """Return the name of the SIM in a part of a line: a cell that says so, or else the first that may be one."""
    typed = re.fullmatch(r"\s*\x00, +(.*\S)\s*", segment)
    if typed is not None and (typed_name := _typed_name(typed[1])):
        return typed_name
    separator = _separator(segment)
    cells = _split_cells(segment, separator) if separator else [segment]
    if separator is None:
        cells = _WIDE_GAP.split(segment)
    names = [name for cell in cells if (name := _cell_name(cell)) is not None]
    return next((name for said, name in names if said), None) or next(
        (name for _, name in names), ""
    )


def _typed_name(rest: str) -> str:
    """Return the name after an ICCID and a comma, as a person types it and as the summary shows it."""
    if _QUOTED.fullmatch(rest):
        return one_line(rest.strip()[1:-1].replace('""', '"'), MAX_NAME_LENGTH)
    if re.search(r"[;\t|]|,\S", rest) or _KEY.fullmatch(rest) or '"' in rest:
        return ""
    parts = rest.split(", ")
    is_number = len(parts) == 1 and rest.isdecimal() and len(rest) < MIN_LONG_NUMBER
    return _clean_name(rest) if is_number or not any(map(_is_other, parts)) else ""


def _cell_name(cell: str) -> tuple[bool, str] | None:
    """Return the name in a cell, and whether the cell says that it is one; None if it has none."""
    before, iccid, after = cell.partition("\x00")
    if iccid:
        names = [_name_before(before), _name_after(after)]
        return next(((False, name) for name in names if name), None)
    if (found := _KEY.fullmatch(cell)) is not None:
        kind = _column(found[1])
        if kind in _NAME_COLUMNS:
            return True, _clean_name(_strip(found[2]))
        if kind in _OTHER_COLUMNS:
            return None
    name = _clean_name(_strip(_BULLET.sub("", cell, count=1)))
    return None if _is_other(name) or name.casefold() in _NO_NAMES else (False, name)


def _name_before(text: str) -> str:
    """Return the name before an ICCID, without numbering and labels."""
    while (bullet := _BULLET.match(text)) and bullet[0]:
        text = text[bullet.end() :]
    name = _strip(text).rstrip(_PUNCTUATION + "([{<")
    return "" if _CARD_LABEL.fullmatch(name) else _without_others(name)


def _name_after(text: str) -> str:
    """Return the name after an ICCID."""
    return _without_others(_strip(text.lstrip(_PUNCTUATION + ")]}")))


def _without_others(text: str) -> str:
    """Return a name without the numbers, addresses and dates around it."""
    words = text.split()
    while words and _is_other(words[0]) and (len(words) == 1 or _is_long(words[0])):
        del words[0]
    while words and _is_other(words[-1]) and _is_long(words[-1]):
        del words[-1]
    name = _clean_name(_strip(" ".join(words)))
    return "" if _is_other(name) or name.casefold() in _NO_NAMES else name


def _is_long(word: str) -> bool:
    """Return whether a word is no short number, which a name may have."""
    return bool(re.search(r"[^\W\d_]", word)) or len(re.findall("[0-9]", word)) > len("2026")


def _is_other(text: str) -> bool:
    """Return whether a text is a number, an address or a date."""
    if not re.search(r"[^\W\d_]", text):
        return True
    if _DATE.fullmatch(text) or _ADDRESS.fullmatch(text) or _SIZE.fullmatch(text):
        return True
    if normalize_iccid(text) or _SPREADSHEET.fullmatch(text):
        return True
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _clean_name(text: str) -> str:
    """Return a name in one line of bounded length; empty for what stands for nothing."""
    name = one_line(text, MAX_NAME_LENGTH)
    return (
        ""
        if name.casefold() in ("n/a", "null", "none", "nan") or not re.search(r"\w", name)
        else name
    )


def _strip(text: str) -> str:
    """Return a text without the quotes and brackets around it."""
    while True:
        before = text
        text = text.strip(" \t\"'“”„«»`,;")
        if text and text[0] in _PAIRS and _PAIRS[text[0]] not in text[1:-1]:
            text = text[1:].removesuffix(_PAIRS[text[0]])
        opening = {closing: opening for opening, closing in _PAIRS.items()}.get(text[-1:])
        if opening is not None and opening not in text:
            text = text[:-1]
        if text == before:
            return text
