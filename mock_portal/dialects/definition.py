"""What a dialect and its variants consist of."""

from dataclasses import dataclass

from mock_portal.errors import SetupError
from mock_portal.patterns import Answer, Looks, no_answer


@dataclass(frozen=True, slots=True)
class Variant[T]:
    """One way the portal may behave: how it answers, and how the probe recognises it.

    `is_occasional` marks a variant that shows in some answers only; the others look like the
    default.
    """

    name: str
    description: str
    answer: T
    looks: Looks = no_answer
    documented: bool = False
    is_occasional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect[T]:
    """One point that the published document leaves open; the first variant is the default."""

    number: str
    name: str
    variants: tuple[Variant[T], ...]

    def variant(self, name: object) -> Variant[T]:
        """Return a variant by its name; YAML may have read `401` as a number."""
        for variant in self.variants:
            if variant.name == str(name):
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        msg = f"Dialect {self.name} has no variant {name!r}; it has {known}"
        raise SetupError(msg)

    def recognise(self, answer: Answer) -> str | None:
        """Return the name of the first variant that answers like this."""
        return next((each.name for each in self.variants if each.looks(answer)), None)
