"""Lists of SIMs as people have them: pasted from portals, modems, spreadsheets, mails and programs."""

import re

from hypothesis import assume, given, strategies as st
import pytest

from custom_components.iot_portal.api import one_line
from custom_components.iot_portal.sim_list import (
    MAX_FILE_SIZE,
    MAX_NAME_LENGTH,
    FileProblem,
    ListedSim,
    Problem,
    WrongLine,
    decode_file,
    read_sims,
)
from scripts.hass_process import REPOSITORY

A, B = "8931082322089353632", "8931080000000000011"
IMSI, IMEI = "204080823514892", "861330058514233"


def grouped(iccid: str, size: int = 4, between: str = " ") -> str:
    """Return an ICCID in groups, as cards print it."""
    return between.join(iccid[start : start + size] for start in range(0, len(iccid), size))


FULL_WIDTH = A.translate({0x30 + digit: 0xFF10 + digit for digit in range(10)})

# A text, and the names of A and B where they are in it; None where a SIM is not in it.
PASTES: dict[str, tuple[str, str | None, str | None]] = {
    # Typed by hand.
    "one": (A, "", None),
    "lines": (f"\n{A}\r\n{B}\r\n\n", "", ""),
    "spaces": (f"{A} {B}", "", ""),
    "commas": (f"{A}, {B}", "", ""),
    "mixed separators": (f"{A};{B} {A}", "", ""),
    "quotes": (f"\"{A}\"\t'{B}'\r\n", "", ""),
    "twice": (f"{A}\n{A}\n{B}", "", ""),
    # As cards and their carriers print it: openpilot PR 38021, ostelco PR 579.
    "groups of four": (f"{grouped(A)}\n{grouped(B)}", "", ""),
    "groups in a line": (f"{grouped(A)} {grouped(B)}", "", ""),
    "groups of two": (grouped(A, 2, "-"), "", None),
    "hyphens": (grouped(A, 4, "-"), "", None),
    "dots": (grouped(A, 4, "."), "", None),
    "groups of five": (f"{grouped(A, 5)}, {grouped(B, 6)}", "", ""),
    # As modems answer AT+CCID and AT+QCCID: Quectel and SIMCom manuals.
    "padded": (f"{A}F\n{B}f", "", ""),
    "modem": (f"AT+CCID\n+CCID: {A}\n\nOK", "", None),
    "Quectel": (f"AT+QCCID\r\n+QCCID: {A}F\r\n\r\nOK\r\n", "", None),
    "u-blox": (f'AT^ICCID?\n^ICCID: "{A}"\nOK', "", None),
    # Phones' settings and routers' pages.
    "label": (f"ICCID: {A}\nICCID: {B}", "", ""),
    "label with hyphen": (f"ICC-ID {A}\nICC ID: {B}", "", ""),
    "label without a space": (f"ICCID{A}", "", None),
    "numbered labels": (f"SIM 1 - {A}\nSIM 2 - {B}", "", ""),
    "numbered labels in a line": (f"SIM 1: {A}, SIM 2: {B}", "", ""),
    "German label": (f"Karte {A}\nKarte 2: {B}", "", ""),
    "sheet of properties": (
        f"IMEI: {IMEI}\nICCID: {A}\nIMSI: {IMSI}\nName: Pump\n\nICCID: {B}",
        "Pump",
        "",
    ),
    "name before": (f"Name: Pump\nICCID: {A}\nName: Tank\nICCID: {B}", "Pump", "Tank"),
    # Mails, notes and chats.
    "numbering": (f"1. {A}\n2) {B}", "", ""),
    "bullets": (f"- {grouped(A)}\n* {B}", "", ""),
    "dots as bullets": (f"• {A} Pump house\n• {B} Tank 12", "Pump house", "Tank 12"),
    "check list": (f"- [ ] {A} Pump\n- [x] {B}", "Pump", ""),
    "heading": (f"My SIMs:\n{A}", "", None),
    "name first": (f"Pump house: {grouped(A)}\nTank - {B}", "Pump house", "Tank"),
    "names in a line": (f"{A} Pump, {B} Tank", "Pump", "Tank"),
    "names first in a line": (f"Pump house {A}, Tank {B}", "Pump house", "Tank"),
    "brackets": (f"{A} (Pump house)\nTank ({B})", "Pump house", "Tank"),
    "comment": (f"{A} # Pump\n{B} // Tank", "Pump", "Tank"),
    "arrow": (f"{A} -> Pump (cellar)", "Pump (cellar)", None),
    "numbered names": (f"1. Pump: {A}\n(2) Tank: {B}", "Pump", "Tank"),
    "address of a page": (f"https://portal.example.com/sims/{A}", "", None),
    # What cannot be seen: web pages, PDF, and mails that go through several programs.
    "mark and zero width": (f"\ufeff{A}\u200b\n\u202a{B}\u202c", "", ""),
    "joiner": (f"{A[:9]}\u200d{A[9:]}", "", None),
    "unseen hyphen": (f"{A[:9]}\u00ad{A[9:]}", "", None),
    "no-break space": (grouped(A, 4, "\u00a0"), "", None),
    "no-break hyphen": (grouped(A, 4, "\u2011"), "", None),
    "full width": (FULL_WIDTH, "", None),
    "Chinese comma": (f"{A}\uff0c水泵\n{B}\u3001", "水泵", ""),
    # Programs: json.dumps, repr() of Python, the answers of REST APIs.
    "JSON list": (f'["{A}", "{B}"]', "", ""),
    "JSON numbers": (f"[{A}, {B}]", "", ""),
    "JSON objects": (
        f'[{{"iccid": "{A}", "name": "Pump"}}, {{"iccid": "{B}", "label": null}}]',
        "Pump",
        "",
    ),
    "JSON in pages": (
        f'{{"sims": [{{"iccid": "{A}", "simNotes": "In a box"}}]}}',
        "In a box",
        None,
    ),
    "JSON by ICCID": (f'{{"{A}": "Pump", "{B}": "Tank"}}', "Pump", "Tank"),
    "JSON rows": (f'[["{A}", "Pump"], ["{B}", "Tank"]]', "Pump", "Tank"),
    "JSON lines": (f'{{"iccid": "{A}", "name": "Pump"}}\n{{"iccid": "{B}"}}', "Pump", ""),
    "cut JSON": (f'[\n  "{A}",\n  "{B}"\n', "", ""),
    "Python list": (f"['{A}', '{B}']", "", ""),
    "Python tuples": (f"[('{A}', 'Pump'), ('{B}', None)]", "Pump", ""),
    "YAML": (f"- iccid: '{A}'\n  name: Pump\n- iccid: '{B}'\n  name: Tank", "Pump", "Tank"),
    # Exports: Hologram, emnify and 1NCE write CSV with titles; Excel writes `;` and tabs by the country.
    "CSV": (f"iccid,name\n{A},Pump house\n{B},Tank\n", "Pump house", "Tank"),
    "CSV of a portal": (
        f"ICCID,MSISDN,IMSI,IMEI,Status,Label\n{A},+3197044863841,{IMSI},{IMEI},ACTIVATED,Pump\n",
        "Pump",
        None,
    ),
    "CSV with quotes": (f'"name","iccid"\n"Pump, ""old""","{A}"\n', 'Pump, "old"', None),
    "CSV with a line break": (f'name,iccid\n"Pump\nhouse",{A}\nTank,{B}', "Pump house", "Tank"),
    "inches": (f'Pump 3" pipe,{A}\nTank 4" pipe,{B}', 'Pump 3" pipe', 'Tank 4" pipe'),
    "CSV without titles": (f"{A},{IMSI},Pump,NL,10.1.2.3\n{B},,,,", "Pump", ""),
    "CSV with dates": (f"2026-01-02;{A};ACTIVE;Pump;02.01.2026 10:00", "Pump", None),
    "semicolons": (f"name;iccid\nPump;{A}\nTank;{B}", "Pump", "Tank"),
    "hint for Excel": (f"sep=;\nICCID;Name\n{A};Pump", "Pump", None),
    "German titles": (f"IMSI\tICCID\tBezeichnung\n{IMSI}\t{A}\tPumpe", "Pumpe", None),
    "titles of SIM": (f"SIM,Name\n{A},Pump", "Pump", None),
    "best of the titles": (f"Notes;Alias;ICCID\nold;Pump;{A}\nspare;;{B}", "Pump", "spare"),
    "number as a name": (f"ICCID;Name\n{A};12", "12", None),
    "forced text": (f'="{A}"\tPump\n\'{B}\tTank', "Pump", "Tank"),
    "decimal of pandas": (f"{A}.0,Pump", "Pump", None),
    "database": (f" {A} | Pump | 10.1.2.3\n(1 row)", "Pump", None),
    "markdown": (
        f"| ICCID | Name |\n|---|---|\n| {A} | Pump |\n| {B} | Tank |",
        "Pump",
        "Tank",
    ),
    "columns of spaces": (f"{A}  {IMSI}  Pump house", "Pump house", None),
    "words between spaces": (f"{A} {IMSI} Pump house", "Pump house", None),
    "many pairs in a row": (f"Pump;{A};Tank;{B}", "Pump", "Tank"),
    "name with a comma": (f"{A}, Pump, cellar", "Pump, cellar", None),
    "phone number": (f"{A}, +31 97 0000 4711", "", None),
    "only a title": (f"ICCIDs\n{A}\n{B}", "", ""),
    "another number of an eSIM": (f"89049032123451234512345678901235,{A},Pump", "Pump", None),
}


@pytest.mark.parametrize("form", PASTES)
def test_paste(form: str) -> None:
    """The SIMs of a list are found with their names, and nothing in it is wrong."""
    text, *names = PASTES[form]

    listed = read_sims(text)

    assert {sim.iccid: sim.name for sim in listed.sims} == {
        iccid: name for iccid, name in zip((A, B), names, strict=True) if name is not None
    }
    assert not listed.wrong


def test_example_of_the_readme() -> None:
    """The list in README.md is read as it says: names beside ICCIDs, in any order."""
    _, _, example = (REPOSITORY / "README.md").read_text().partition("```text\n")
    listing = read_sims(example.partition("```")[0])
    assert [(sim.iccid, sim.name) for sim in listing.sims] == [
        ("8931082322204500026", "Pump house"),
        ("8931082322204500034", "Boat tracker"),
    ]
    assert not listing.wrong


def test_number_of_pastes() -> None:
    """There are enough forms."""
    assert len(PASTES) >= 60


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("one two", Problem.NO_ICCID),
        ("Pump 12", Problem.NO_ICCID),
        ("0" * 19, Problem.NO_ICCID),
        (A[:17], Problem.TOO_SHORT),
        ("8931 0823", Problem.TOO_SHORT),
        (IMSI, Problem.TOO_SHORT),
        (f"{A}0000", Problem.TOO_LONG),
        ("8931 0823 2220 4600 0321 2345 678", Problem.TOO_LONG),
        (f"{A[:17]}xx", Problem.LETTERS),
        ("893108232208935363O", Problem.LETTERS),
        ("8931 0823 22O8 9353 632", Problem.LETTERS),
        ("8.93108E+18", Problem.SPREADSHEET_NUMBER),
        ("8,93108E+18", Problem.SPREADSHEET_NUMBER),
        ("8,93E+18;Pump", Problem.SPREADSHEET_NUMBER),
        ("89049032123451234512345678901235", Problem.EID),
    ],
)
def test_wrong_line(text: str, problem: Problem) -> None:
    """A line without an ICCID stays as it was typed, with what is wrong with it; the others are read."""
    listed = read_sims(f"{A}\n{text}\n{B}")

    assert [sim.iccid for sim in listed.sims] == [A, B]
    assert listed.wrong == (WrongLine(text, problem),)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"{A} {B}0000", f"{B}0000"),
        (f"{A} {A[:17]}xx", f"{A[:17]}xx"),
        (f"ICCID;Name\n{A};Pump\n8,93E+18;Tank", "8,93E+18, Tank"),
        (f'{{"sims": [{{"iccid": "{A}"}}, {{"iccid": "8931", "name": "Tank"}}]}}', "8931, Tank"),
    ],
)
def test_wrong_entry(text: str, wrong: str) -> None:
    """A wrong entry of a line or a table stays, with its name."""
    listed = read_sims(text)

    assert [sim.iccid for sim in listed.sims] == [A]
    assert [line.text for line in listed.wrong] == [wrong]


@pytest.mark.parametrize("text", ["", " , ", "\n\n", "---", "ICCID,Name", "[]", "{}"])
def test_nothing(text: str) -> None:
    """A text without entries has nothing wrong in it."""
    listed = read_sims(text)

    assert not listed.sims
    assert not listed.wrong


@pytest.mark.parametrize("length", [18, 19, 20, 21, 22])
def test_lengths(length: int) -> None:
    """ICCIDs of all lengths are read, also from Chinese issuers with a letter."""
    assert read_sims(f"{A}2345"[:length]).sims == (ListedSim(f"{A}2345"[:length]),)
    assert read_sims("898604B7192271001234").sims == (ListedSim("898604B7192271001234"),)


NAMES = st.text(max_size=2 * MAX_NAME_LENGTH).map(lambda name: one_line(name, MAX_NAME_LENGTH))


@given(NAMES)
def test_line_of_a_sim(name: str) -> None:
    """The line that shows a SIM is read as the same SIM, whatever its name is."""
    sim = ListedSim(A, name)

    assert read_sims(sim.as_line()).sims == (sim,)


@given(
    st.integers(0, 10**17 - 1).map(lambda number: f"89{number:017}"),
    st.sampled_from(["", "ICCID: ", "SIM 1 - ", "- ", "3. ", "• ", '"', "[", "+CCID: ", "Karte "]),
    st.sampled_from(
        [(19, ""), (4, " "), (4, "-"), (5, "."), (2, " "), (4, "\u00a0"), (6, "\u2011")]
    ),
    st.sampled_from(
        ["", "F", '"', ",", ";", "]", ".0", "\u200b", "\t10.1.2.3", f",{IMSI}", "\r\n"]
    ),
)
def test_decorated(iccid: str, before: str, groups: tuple[int, str], after: str) -> None:
    """Any ICCID is found again in any decoration."""
    size, between = groups
    # Only programs write a decimal, and they write no groups.
    assume(after != ".0" or not between)
    decorated = f"{before}{grouped(iccid, size, between)}{after}"

    assert read_sims(decorated).sims == (ListedSim(iccid),)


@given(st.text(alphabet="8931 0Ff,;|\t\n\"'[](){}:=-.aIO#\u200b", max_size=200))
def test_any_text(text: str) -> None:
    """Any text can be read, and what was found in it is found again in the lines that show it."""
    listed = read_sims(text)

    for sim in listed.sims:
        assert re.fullmatch("[0-9A-F]{18,22}", sim.iccid)
        assert read_sims(sim.as_line()).sims == (sim,)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        '"' * 300_000,
        "8931 " * 200_000,
        "- " * 300_000 + A,
        f"{A}{' -' * 300_000}x",
        "[" * 300_000,
        '"a' * 300_000,
        "\u200d" * 300_000 + "8",
        f"{A}x " * 40_000,
    ],
    ids=lambda text: text[:8],
)
def test_hostile_text(text: str) -> None:
    """A text that is made to take long is read in time."""
    read_sims(text)


@pytest.mark.parametrize(
    "content",
    [
        "Pümpe".encode(),
        "Pümpe".encode("utf-8-sig"),
        "Pümpe".encode("utf-16"),
        "Pümpe".encode("utf-16-le"),
        b"\xfe\xff" + "Pümpe".encode("utf-16-be"),
        "Pümpe".encode("cp1252"),
    ],
)
def test_file(content: bytes) -> None:
    """A file is read as the program that saved it has meant it."""
    assert decode_file(content) == "Pümpe"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04\x14\x00", FileProblem.SPREADSHEET),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", FileProblem.SPREADSHEET),
        (b"%PDF-1.7", FileProblem.NO_TEXT),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", FileProblem.NO_TEXT),
        (b"1" * (MAX_FILE_SIZE + 1), FileProblem.TOO_LARGE),
    ],
)
def test_unreadable_file(content: bytes, problem: FileProblem) -> None:
    """A file that is no text is named as what it is."""
    assert decode_file(content) is problem
