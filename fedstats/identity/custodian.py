"""What a custodian makes and hands out: keys that stay where they were made, a card, a signature of the roster.

The same for every kind of agent; `Custodian` says which.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from fedstats.errors import ConfigError, UsageError
from fedstats.identity.drafting import sign_in_place
from fedstats.identity.keys import load_identity
from fedstats.identity.party_keys import KeyFiles, node_keys
from fedstats.identity.roster import Roster


def folder_of(place: Path) -> Path:
    """The folder of an agent, of which a file may have been named, as in `site/node.toml`."""
    return place.parent if place.is_file() else place


@dataclass(frozen=True)
class Custodian:
    """A kind of agent: the role on its card, its configuration file, and the table of that file that names its state.

    `init` is the command that makes its keys.
    """

    role: str
    config: str
    init: str

    @property
    def table(self) -> str:
        """The table of the configuration file that is about the agent itself."""
        return Path(self.config).stem

    def state(self, folder: Path) -> Path:
        """The state folder that the configuration names, else state/.

        Raises
        ------
        ConfigError
            The configuration is not TOML; other faults of it do not matter here.
        """
        config = folder / self.config
        if not config.is_file():
            return folder / "state"
        try:
            own = tomllib.loads(config.read_text(encoding="utf-8")).get(self.table)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(config.name, [f"it is not TOML: {error}"], code="BAD_CONFIG") from None
        named = own.get("state") if isinstance(own, dict) else None
        return folder / (named if isinstance(named, str) and named.strip() else "state")

    def key_files(self, folder: Path) -> KeyFiles:
        """Where the keys of the agent in a folder lie."""
        return node_keys(self.state(folder))

    def sign(self, roster: Path, folder: Path | None) -> Roster:
        """Add the agent's signature to a roster file, and return what is signed.

        Parameters
        ----------
        roster
            The file, which is written in its place.
        folder
            Of the agent; where none is named, the current one, or else the roster's, whichever has keys.
        """
        places = [folder_of(folder)] if folder is not None else [Path(), roster.parent]
        found = next((place for place in places if self.key_files(place).identity.is_file()), None)
        if found is None:
            looked = " nor in ".join(f"{self.key_files(place).identity.parent}/" for place in dict.fromkeys(places))
            raise UsageError(
                f"there is no identity.key in {looked}",
                code="NO_KEYS",
                hint=f"Name the {self.table}'s folder: --folder DIR.",
            )
        return sign_in_place(roster, load_identity(self.key_files(found).identity), roster.parent, found)
