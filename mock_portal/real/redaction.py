"""Real identities and secrets replaced by made-up ones; the same input gets the same output.

Everything not known to be harmless is replaced. A value that was replaced once is also replaced
where it occurs later, as in an error message.
"""

from collections.abc import Mapping
from enum import Enum, auto
from http import HTTPStatus
import json
import re
from secrets import choice
from string import ascii_lowercase, ascii_uppercase, digits

from mock_portal import routes
from mock_portal.replay import TOKEN

GONE = "***"

_ICCID_LENGTHS = range(18, 23)
_LEARNED_LENGTH = 4
_MOST_TRIES = 100
_NUMBER_LENGTH = 7
_TOKEN_LENGTH = 8192

_IPV4 = r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)"
_EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
# Forms that identify somebody wherever they occur.
_TELLING = rf"{_IPV4}|{_EMAIL}|\d{{10,}}"

# Harmless values wherever they occur: dates, words for nothing, Cisco's words for the ends of an
# SMS.
_HARMLESS = re.compile(
    r"|true|false|null|none|n/a|0\.0\.0\.0|server|mobile device|\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?",
    re.IGNORECASE,
)

_PIECE = re.compile(rf"^https?://|{_IPV4}|\d+|.", re.DOTALL)
_LONG_NUMBER = re.compile(r"-?\d{6,}|-?\d+\.\d+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LEXEME = re.compile(r'"(?:\\.|[^"\\])*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)


class Rule(Enum):
    """How a value is redacted."""

    # Keep the value; in a text, replace identifying forms.
    KEEP = auto()
    # The same for numbers, too.
    CLEAN = auto()
    # Replace a text, a long number or a fraction by one of the same form and length.
    FAKE = auto()
    # Remove the value.
    GONE = auto()
    # Remove the value; a replaying portal inserts its own token.
    TOKEN = auto()


# Rules by key in lower case; FAKE if none matches.
_RULES = (
    (re.compile(r".*(token|secret(key)?|password)|authorization"), Rule.GONE),
    (
        re.compile(
            r".*status|(sim|device)?state|.*type|(error|status)?code|apiversion"
            r"|ctd.*|.*usage|.*bytes|(.+session|sms)?count|.*(date|time|timestamp)|date.*(ed|sent)"
            r"|expir.*|isshared|dataquantity|datasize|commsplan|pagenumber|lastpage|success|queued"
        ),
        Rule.KEEP,
    ),
    (re.compile(r"(error)?message|error|reason|sms(msg|message)ids?"), Rule.CLEAN),
)

# Rules by route for answers without keys; CLEAN for the others.
_ANSWER_RULES = {"getStatus": Rule.KEEP, "Login": Rule.TOKEN}


class Redactor:
    """Replaces values, and remembers the replacements."""

    def __init__(self) -> None:
        """Start without replacements."""
        self._fakes: dict[str, str] = {}
        self._taken: set[str] = set()
        self._secrets: set[str] = set()
        self._learned: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def keep_secret(self, secret: str) -> None:
        """Remember a secret, which is removed wherever it occurs."""
        if len(secret) >= _LEARNED_LENGTH and secret not in self._secrets:
            self._secrets.add(secret)
            self._pattern = None

    def path(self, method: str, path: str) -> str:
        """Redact a path below the base URL."""
        found = routes.find(method, f"{routes.PREFIXES[0]}{path}")
        if found is None or not found.route.has_iccid:
            return self.text(path)
        params = found.params | {"ICCID": self.fake(found.params["ICCID"])}
        return "/".join(("", found.route.name, *params.values()))

    def query(self, query: Mapping[str, str]) -> dict[str, str]:
        """Redact the values of a query."""
        return {self.key(key): self.value(value, rule_of(key)) for key, value in query.items()}

    def sent(self, body: str) -> str:
        """Redact a request body."""
        return self._body(body, Rule.FAKE)

    def answered(self, body: str, route: str | None, status: int) -> str:
        """Redact a response body."""
        if status >= HTTPStatus.BAD_REQUEST or route is None:
            return self._body(body, Rule.CLEAN)
        return self._body(body, _ANSWER_RULES.get(route, Rule.CLEAN))

    def text(self, text: str) -> str:
        """Redact identifying values in a text, and everything that was replaced before."""
        pattern = self._pattern = self._pattern or self._compile()
        return pattern.sub(
            lambda found: GONE if found[0] in self._secrets else self.fake(found[0]), text
        )

    def key(self, key: str) -> str:
        """Redact identifying values in the key of an object."""
        return re.sub(_TELLING, lambda found: self.fake(found[0]), key)

    def value(self, value: str, rule: Rule) -> str:
        """Redact a text by a rule."""
        is_counter = rule is Rule.KEEP and value.isdecimal() and len(value) not in _ICCID_LENGTHS
        if is_counter or _HARMLESS.fullmatch(value):
            return value
        if rule in {Rule.KEEP, Rule.CLEAN}:
            return self.text(value)
        if rule is Rule.FAKE:
            return self.fake(value)
        self.keep_secret(value)
        return TOKEN if rule is Rule.TOKEN else GONE

    def number(self, number: str, rule: Rule) -> str:
        """Redact a number of a JSON text by a rule."""
        if rule is Rule.KEEP:
            return number
        if rule is Rule.CLEAN:
            return self.text(number)
        if rule is Rule.FAKE:
            return self.fake(number) if _LONG_NUMBER.fullmatch(number) else number
        return json.dumps(self.value(number, rule))

    def fake(self, value: str) -> str:
        """Return the made-up value for this value."""
        if value not in self._fakes:
            made = ""
            for _ in range(_MOST_TRIES):
                made = _PIECE.sub(lambda piece: self._fake_piece(piece[0], value), value)
                if made not in self._taken and made != value:
                    break
            self._fakes[value] = made
            self._taken |= {value, made}
            # Identifying forms are recognised anyway.
            if len(value) >= _LEARNED_LENGTH and not re.fullmatch(_TELLING, value):
                self._learned.add(value)
                self._pattern = None
        return self._fakes[value]

    def _fake_piece(self, piece: str, whole: str) -> str:
        """Return a made-up part of a value; an address or a long number always becomes the same."""
        if piece.startswith("http"):
            return piece
        if len(piece) >= _NUMBER_LENGTH and piece != whole:
            return self.fake(piece)
        if piece.isdecimal():
            return _fake_digits(piece)
        if len(piece) == 1:
            return _fake_letter(piece)
        return ".".join(_fake_octet(octet) for octet in piece.split("."))

    def _compile(self) -> re.Pattern[str]:
        """Return a pattern of secrets, of earlier replacements, and of identifying forms."""
        secrets, learned = (
            "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
            for values in (self._secrets, self._learned)
        )
        parts = (secrets, learned and rf"(?<!\w)(?:{learned})(?!\w)", _TELLING)
        return re.compile("|".join(filter(None, parts)))

    def _body(self, body: str, rule: Rule) -> str:
        """Redact a body; truncated or malformed JSON is treated as JSON."""
        if body.lstrip()[:1] in {"{", "[", '"'}:
            return _LEXEME.sub(_Walk(self, rule).visit, body)
        # A page is not a token.
        if rule is Rule.TOKEN and (len(body) > _TOKEN_LENGTH or re.search(r"[\s<]", body.strip())):
            rule = Rule.CLEAN
        return self.value(body, rule)


class _Walk:
    """A walk over the tokens of a JSON text, which applies the rule of each key."""

    def __init__(self, redactor: Redactor, rule: Rule) -> None:
        """Start outside any object, with the rule for that."""
        self._redactor = redactor
        self._root = self._rule = rule
        self._around: list[tuple[Rule, bool]] = []
        self._at_key = False

    def visit(self, found: re.Match[str]) -> str:
        """Return the replacement of a lexeme."""
        lexeme = found[0]
        match lexeme[0]:
            case "{" | "[":
                self._at_key = lexeme == "{"
                self._around.append((self._rule, self._at_key))
            case "}" | "]":
                self._close()
            case ",":
                self._at_key = bool(self._around) and self._around[-1][1]
            case ":":
                self._at_key = False
            case '"' if self._at_key:
                return self._key(lexeme)
            case '"':
                return _requote(lexeme, self._redactor.value(_unquote(lexeme), self._rule))
            case _ if _NUMBER.fullmatch(lexeme):
                return self._redactor.number(lexeme, self._rule)
            case _:
                return self._redactor.value(lexeme, self._rule)
        return lexeme

    def _close(self) -> None:
        """Leave an object or a list; text after the outermost one is not trusted."""
        rule = self._around.pop()[0] if self._around else Rule.FAKE
        self._rule = rule if self._around else Rule.FAKE
        self._at_key = False

    def _key(self, lexeme: str) -> str:
        """Select the rule for the value of a key, and redact the key."""
        key = _unquote(lexeme)
        outer = self._around[-1][0]
        if key != "data" and outer is not Rule.GONE:
            self._rule = rule_of(key)
        else:
            self._rule = outer
        if self._root is Rule.TOKEN and self._rule in {Rule.FAKE, Rule.GONE}:
            self._rule = Rule.TOKEN
        return _requote(lexeme, self._redactor.key(key))


def rule_of(key: str) -> Rule:
    """Return the rule for the values of a key."""
    return next((rule for keys, rule in _RULES if keys.fullmatch(key.lower())), Rule.FAKE)


def _unquote(lexeme: str) -> str:
    """Return the text of a JSON string, which may be truncated."""
    try:
        return str(json.loads(lexeme, strict=False))
    except ValueError:
        return lexeme.strip('"')


def _requote(lexeme: str, text: str) -> str:
    """Return a JSON string with another text, truncated if it was; unchanged for the same text."""
    if text == _unquote(lexeme):
        return lexeme
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if lexeme.endswith('"') else quoted[:-1]


def _fake_letter(char: str) -> str:
    """Return a random letter for a letter, and other characters unchanged."""
    if char.isalpha():
        return choice(ascii_uppercase if char.isupper() else ascii_lowercase)
    return char


def _fake_octet(octet: str) -> str:
    """Return a random part of an IPv4 address with as many digits."""
    return str(choice((range(10), range(10, 100), range(100, 256))[len(octet) - 1]))


def _fake_digits(number: str) -> str:
    """Return a random number; an ICCID stays one, with a valid check digit if it had one."""
    if len(number) not in _ICCID_LENGTHS:
        first = "0" if number[0] == "0" else choice(digits[1:])
        return first + "".join(choice(digits) for _ in number[1:])
    made = number[:2] + "".join(choice(digits) for _ in number[2:])
    is_wrong = bool(_luhn(number))
    return made[:-1] + choice(
        [digit for digit in digits if bool(_luhn(made[:-1] + digit)) is is_wrong]
    )


def _luhn(number: str) -> int:
    """Return Luhn's sum modulo 10; zero means that the check digit is valid."""
    total = 0
    for position, digit in enumerate(reversed(number)):
        doubled = int(digit) * (1 + position % 2)
        total += doubled // 10 + doubled % 10
    return total % 10
