"""What an audit finds: for each check how much it looked at, and each discrepancy in a sentence to act on."""

from dataclasses import dataclass, field

SHOWN_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Two things that contradict each other: of which resource, what is there, what should be, what to do."""

    subject: str
    found: str
    wanted: str
    advice: str

    def sentence(self) -> str:
        """Return all of it as one line."""
        return f"{self.subject}: {self.found}; {self.wanted}. {self.advice}"


@dataclass(frozen=True, slots=True)
class Note:
    """What contradicts nothing and needs somebody all the same."""

    subject: str
    text: str

    def sentence(self) -> str:
        """Return it as one line."""
        return f"{self.subject}: {self.text}"


@dataclass(slots=True)
class Check:
    """One comparison. `open` counts what could not be judged yet because the workers had not come to it."""

    name: str
    compares: str
    looked_at: int = 0
    open: int = 0
    count: int = 0
    discrepancies: list[Discrepancy] = field(default_factory=list)
    noted: int = 0
    notes: list[Note] = field(default_factory=list)

    def tell(self, subject: str, *, found: str, wanted: str, advice: str) -> None:
        """Note a discrepancy; all are counted, the first thousand are kept."""
        self.count += 1
        if len(self.discrepancies) < SHOWN_MAX:
            self.discrepancies.append(Discrepancy(subject, found, wanted, advice))

    def note(self, subject: str, text: str) -> None:
        """Note what needs somebody and is no discrepancy; all are counted, the first thousand are kept."""
        self.noted += 1
        if len(self.notes) < SHOWN_MAX:
            self.notes.append(Note(subject, text))

    def summary(self) -> str:
        """Return a line with the counts."""
        left = f", {self.open} not judged: the workers have not come to them yet" if self.open else ""
        noted = f", {self.noted} need somebody" if self.noted else ""
        return f"{self.name}: {self.compares}; {self.looked_at} looked at, {self.count} discrepancies{noted}{left}"
