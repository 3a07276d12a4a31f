"""State of the sessions of a run on disk: what was asked, and one numbered folder for each roster it was asked of.

::

    OUT.run/
      request.json          the request as it was typed
      0/ 1/ ...             sessions: 0 with all nodes, a new one each time that nodes were lost for good
        documents/          what was settled before any sum: catalogues, surveys, availability
        <study>/            checkpoint of the run of one study (see `checkpoint`)

`--resume` goes on with the last session.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from fedstats.coordinator.checkpoint import Checkpoint
from fedstats.coordinator.durable import make_folder, read_or_none, remove_folder, write_durably
from fedstats.documents import decode, document, encode
from fedstats.errors import UsageError
from fedstats.planning.request import Request


@document
@dataclass(frozen=True)
class SessionDocument:
    """What is fixed when a session begins.

    `lost` are the nodes that were lost in earlier sessions; `amends` says that something had been opened by then, so
    that they are left out by their own consent.
    """

    session: str
    created: str
    roster: str
    panel: str
    nodes: tuple[str, ...]
    lost: tuple[str, ...] = ()
    amends: bool = False


@dataclass(frozen=True)
class SessionState:
    """One numbered session folder."""

    folder: Path

    @property
    def documents(self) -> Checkpoint:
        """What was settled before any sum."""
        return Checkpoint(self.folder)

    def run(self, key: str) -> Checkpoint:
        """Checkpoint of the run of one study."""
        return Checkpoint(self.folder / key)

    def runs(self) -> list[Checkpoint]:
        """Checkpoints of all studies that were proposed."""
        if not self.folder.is_dir():
            return []
        return [Checkpoint(one) for one in sorted(self.folder.iterdir()) if (one / "documents" / "plan").is_file()]

    def document(self) -> SessionDocument | None:
        """What was fixed when the session began; None before that."""
        body = self.documents.document("session")
        return None if body is None else decode(SessionDocument, body)

    def begin(self, document: SessionDocument) -> None:
        """Begin the session."""
        self.documents.keep_document("session", encode(document))


@dataclass(frozen=True)
class RunState:
    """OUT.run/."""

    folder: Path

    def start(self, request: Request) -> None:
        """Forget whatever lies here and begin with a request."""
        remove_folder(self.folder)
        write_durably(make_folder(self.folder) / "request.json", encode(request))

    def go_on(self, request: Request) -> None:
        """See that there is something to go on with, and that it was asked in the same words.

        Raises
        ------
        UsageError
            Code NOTHING_TO_RESUME or OTHER_REQUEST.
        """
        body = read_or_none(self.folder / "request.json")
        if body is None:
            raise UsageError(
                f"there is nothing to resume in {self.folder.name}",
                code="NOTHING_TO_RESUME",
                hint="Leave --resume out to start, or check --out.",
            )
        before = decode(Request, body)
        changed = [name for name in vars(request) if name != "wait_seconds" and _differs(name, before, request)]
        if changed:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
            raise UsageError(
                f"the run in {self.folder.name} was started with other values of {flags}",
                code="OTHER_REQUEST",
                hint="Repeat the command as it was and add --resume, or leave --resume out to start anew.",
            )

    def current(self) -> SessionState:
        """The last session."""
        return SessionState(self.folder / str(max(self._numbers(), default=0)))

    def next(self) -> SessionState:
        """A session after the last one."""
        return SessionState(self.folder / str(max(self._numbers(), default=-1) + 1))

    def drop(self, session: SessionState) -> None:
        """Forget a session that could not begin; the one before it is current again."""
        remove_folder(session.folder)

    def before(self, session: SessionState) -> SessionState | None:
        """The session before another, None for the first."""
        number = int(session.folder.name)
        return SessionState(self.folder / str(number - 1)) if number else None

    def _numbers(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        return [int(one.name) for one in self.folder.iterdir() if one.name.isdecimal()]


def _differs(name: str, before: Request, now: Request) -> bool:
    return bool(getattr(before, name) != getattr(now, name))


def on_nodes(request: Request, nodes: tuple[str, ...]) -> Request:
    """The request as it is asked of some nodes only."""
    return replace(request, nodes=nodes)
