"""Tables that grow row by row, and the list of limits that were broken."""

import statistics


class Sheet:
    """Where all tables are printed, and all misses noted."""

    def __init__(self, markdown):
        self.markdown, self.misses, self.widths = markdown, [], []

    def table(self, title, note, columns):
        """Begins a table; `columns` are (title, width)."""
        self.widths = [0 if self.markdown else max(width, len(name)) for name, width in columns]
        print(f"\n**{title}** {note}\n" if self.markdown else f"\n{title}\n{note}\n")
        self.row(*(name for name, _ in columns))
        print("|" + "|".join("-" * (width + 2 or 3) for width in self.widths) + "|", flush=True)

    def row(self, *cells):
        padded = (str(cell).ljust(width) for cell, width in zip(cells, self.widths, strict=True))
        print("| " + " | ".join(padded) + " |", flush=True)

    def note(self, words):
        """A line below a table, which ends it."""
        print(f"\n{words}" if self.markdown else words, flush=True)

    def limit(self, holds, words):
        if not holds:
            self.misses.append(words)


def percent(error):
    return "–" if error is None else f"{100 * error:+.2f} %"


def millis(seconds):
    return "–" if seconds is None else f"{1e3 * seconds:+.2f}"


def median(values):
    return statistics.median(values) if values else None


def worst(values):
    return max(values, key=abs) if values else None


def rank(values, share):
    """The percentile by nearest rank, as bandprobe has it."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else None
