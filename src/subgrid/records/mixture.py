"""Mixing several streams by an integer pattern, in closed form.

With the shares (2, 1) the positions of the mixed stream belong to the sources 0, 0, 1, 0, 0, 1, ... Of the first n
positions, with the period P = sum of shares and s_i = share_0 + ... + share_(i-1),

    taken_i(n) = (n div P) x share_i + min(max(n mod P - s_i, 0), share_i)

belong to source i. So the rows of source i among the positions a ... b-1 are those at taken_i(a) ... taken_i(b) - 1 of
its own stream: consecutive, and found without replaying anything.
"""

from dataclasses import dataclass

from subgrid.errors import SettingsError


@dataclass(frozen=True)
class Pattern:
    """How many rows of each source stand in one period of the mixed stream, source after source.

    Raises:
        SettingsError: no source, or a share below 1.
    """

    shares: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if not self.shares or min(self.shares) < 1:
            raise SettingsError(f"a mixture needs a share of at least 1 for every source, found {self.shares}")

    @property
    def period(self) -> int:
        """Positions after which the pattern begins again."""
        return sum(self.shares)

    def taken(self, positions: int) -> tuple[int, ...]:
        """Rows of each source among the first ``positions`` of the mixed stream; they sum to ``positions``."""
        periods, rest = divmod(positions, self.period)
        found, before = [], 0
        for share in self.shares:
            found.append(periods * share + min(max(rest - before, 0), share))
            before += share
        return tuple(found)

    def parts(self, start: int, count: int) -> list[tuple[int, int, int]]:
        """(source, position in its own stream, rows) of each source that has rows at ``count`` positions from start."""
        bounds = zip(self.taken(start), self.taken(start + count), strict=True)
        return [(source, first, last - first) for source, (first, last) in enumerate(bounds) if last > first]
