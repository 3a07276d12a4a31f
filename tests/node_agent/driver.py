"""A small coordinator for tests, and agents in this process behind real gRPC with mutual TLS."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import grpc
import numpy as np

from fedstats.additive import Limits
from fedstats.documents import digest
from fedstats.fixed_point import decode as decode_words
from fedstats.identity.roster import roster_digest
from fedstats.identity.signing import Signed, open_signed, sign
from fedstats.planning.panel import Panel
from fedstats.planning.panel_files import read_panel
from fedstats.planning.request import Request
from fedstats.planning.survey import Questions
from fedstats.privacy.masking_coordinator import self_masks, sum_uploads, transcript_of
from fedstats.privacy.transcript import without_check_word
from fedstats.step import STEPS, Nothing, to_arrays
from fedstats.study import Block, Floors, Model, Study, Trait
from fedstats.wire.arrays import asks_to_bytes
from fedstats.wire.blobs import panel_to_bytes, variants_to_bytes
from fedstats.wire.envelope import ERROR_KEY, contents, error_from_bytes, from_wire, pieces, to_wire
from fedstats.wire.generated.fedstats.v1 import node_pb2, node_pb2_grpc
from fedstats.wire.messages import (
    BeginOrder,
    BlobOrder,
    CommitOrder,
    ComputeOrder,
    FetchOrder,
    PassOrder,
    Plan,
    ReadyOrder,
    ReceiptOrder,
    RunKeysOrder,
    Serving,
    SignedText,
    SurveyOrder,
    UnmaskOrder,
    pass_id,
)
from fedstats.wire.passes import ask_words, layout_digest, pass_context, plain_transcript, upload_bytes
from node_agent.agent import Agent
from node_agent.config import read_settings
from node_agent.node import open_node
from node_agent.service import start_server
from node_agent.warm import load_steps
from tests.node_agent.sites import Federation, Site

#: One autosomal model without traits: for steps that count genotypes.
COUNTING = Model("a0", "autosome")
SCANNED = Model("q0", "autosome", traits=(Trait("q1", "quantitative"),))
TEST_FLOORS = Floors(min_people=50)
ALL_ONE = Floors(
    min_people=1,
    min_arm=1,
    min_level=1,
    min_nodes=3,
    min_mac=1,
    min_carrier_nodes=1,
    min_missing=1,
    min_missing_nodes=1,
    parameters_per_person=1e9,
    validation=True,
)


@contextmanager
def running(site: Site) -> Iterator[int]:
    """An agent in this process; gives the port that it listens on, and drains it at the end."""
    load_steps()
    node = open_node(read_settings(site.config))
    agent = Agent(node)
    started, stop = threading.Event(), asyncio.Event()
    ports: list[int] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        server = await start_server(agent)
        agent.resume()
        await server.set_serving(serving=True)
        ports.append(server.port)
        started.set()
        await stop.wait()
        node.workers.stop_soon()
        await server.stop(2)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(120)
    try:
        yield ports[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()
        node.close()


@dataclass
class Line:
    """A connection to one agent."""

    federation: Federation
    site: Site
    port: int

    def __post_init__(self) -> None:
        leaf = self.federation.leaf
        credentials = grpc.ssl_channel_credentials(self.site.leaf_pem, leaf.private_pem, leaf.certificate_pem)
        options = (("grpc.ssl_target_name_override", self.site.name),)
        self.channel = grpc.secure_channel(f"127.0.0.1:{self.port}", credentials, options)
        self.stub = node_pb2_grpc.NodeStub(self.channel)

    def call(self, method: str, order: object) -> Signed:
        """The signed answer to an order; raises what the agent answered instead."""
        signed = order if isinstance(order, Signed) else sign(self.federation.coordinator, type(order).__name__, order)
        try:
            return from_wire(getattr(self.stub, method)(to_wire(signed), timeout=60))
        except grpc.RpcError as error:
            raise unwrapped(error) from error

    def put(self, run: str, purpose: str, data: bytes) -> str:
        self._put(run, purpose, data, data, None)
        return hashlib.sha256(data).hexdigest()

    def put_then(self, run: str, purpose: str, data: bytes, then: object, *, announced: bytes = b"") -> Signed:
        """The answer to an order that comes behind its blob."""
        follows = sign(self.federation.coordinator, type(then).__name__, then)
        return self._put(run, purpose, data, announced or data, follows)

    def _put(self, run: str, purpose: str, data: bytes, announced: bytes, then: Signed | None) -> Signed:
        sha = hashlib.sha256(announced).hexdigest()
        order = sign(self.federation.coordinator, "BlobOrder", BlobOrder(run, purpose, sha, len(announced)))

        def parcels() -> Iterator[node_pb2.Parcel]:
            yield node_pb2.Parcel(order=to_wire(order))
            for piece in pieces([data]):
                yield node_pb2.Parcel(piece=piece)
            if then is not None:
                yield node_pb2.Parcel(then=to_wire(then))

        try:
            return from_wire(self.stub.Put(parcels(), timeout=60))
        except grpc.RpcError as error:
            raise unwrapped(error) from error

    def ask(self, method: str, order: object) -> Signed | None:
        """A step of a pass: its answer, None for M, which answers with words."""
        if isinstance(order, ComputeOrder):
            return self.start(order)
        return self.call(method, order)

    def start(self, order: ComputeOrder) -> None:
        """Have a pass computed, as far as its first words."""
        signed = sign(self.federation.coordinator, "ComputeOrder", order)
        call = self.stub.Compute(to_wire(signed), timeout=60)
        try:
            next(call)
        except grpc.RpcError as error:
            raise unwrapped(error) from error
        finally:
            call.cancel()

    def stream(self, method: str, order: object, offset: int = 0) -> bytes:
        return self._stream(method, order, offset)[0]

    def words_and_behind(self, order: ComputeOrder) -> tuple[bytes, Signed | None]:
        """What a pass gives when it is computed: words, and the document behind them."""
        return self._stream("Compute", order, 0)

    def _stream(self, method: str, order: object, offset: int) -> tuple[bytes, Signed | None]:
        signed = sign(self.federation.coordinator, type(order).__name__, order)
        data, behind = bytearray(), None
        try:
            for found in contents(getattr(self.stub, method)(to_wire(signed), timeout=60), offset):
                assert behind is None
                if isinstance(found, Signed):
                    behind = found
                else:
                    data += found
        except grpc.RpcError as error:
            raise unwrapped(error) from error
        return bytes(data), behind


@dataclass
class LocalLine(Line):
    """The same without a network: an agent in this process, called as the service calls it."""

    agent: Agent | None = None

    def __post_init__(self) -> None:
        assert self.agent is not None

    def call(self, method: str, order: object) -> Signed:
        return self.agent.call(method, self.signed(order))

    def put(self, run: str, purpose: str, data: bytes) -> str:
        sha = hashlib.sha256(data).hexdigest()
        self.agent.put(self.signed(BlobOrder(run, purpose, sha, len(data))), data)
        return sha

    def start(self, order: ComputeOrder) -> None:
        self.agent.fetch("Compute", self.signed(order))

    def stream(self, method: str, order: object, offset: int = 0) -> bytes:
        first, data = self.agent.fetch(method, self.signed(order))
        assert first == offset
        return b"".join(run for run in data if not isinstance(run, Signed))

    def signed(self, order: object) -> Signed:
        if isinstance(order, Signed):
            return order
        return sign(self.federation.coordinator, type(order).__name__, order)


def unwrapped(error: grpc.RpcError) -> Exception:
    """The exception that an agent's error document stands for; the gRPC error where there is none."""
    metadata = dict(error.trailing_metadata() or ())  # type: ignore[attr-defined]  # calls are errors with metadata
    return error_from_bytes(metadata[ERROR_KEY]) if ERROR_KEY in metadata else error


@dataclass
class Driver:
    """Plays the coordinator: plans, passes, and the total of a pass."""

    federation: Federation
    lines: Mapping[str, Line]
    panel: Panel
    run_keys: dict[str, Signed] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.lines)

    def plan(self, run: str = "run-1", privacy: str = "plain", **changes: object) -> Plan:
        """A plan of all lines that counts genotypes on the autosomes."""
        study = Study(analysis="freq", models=(COUNTING,), nodes=self.names, floors=TEST_FLOORS)
        variants = variants_to_bytes(np.arange(len(self.panel)))
        made = Plan(
            run=run,
            federation="test",
            roster=roster_digest(self.federation.roster),
            dataset="demo",
            created="2026-01-01T00:00:00Z",
            request=Request("freq"),
            study=study,
            privacy=privacy,
            panel=self.panel.digest(),
            build="GRCh37",
            variants=hashlib.sha256(variants).hexdigest(),
            pass_variants=65_536,
            protocol=1,
            versions={},
            nodes={name: self.federation.site(name).identity.public_hex for name in self.names},
        )
        made = replace(made, **changes)  # type: ignore[arg-type]  # fields of Plan
        return made if made.surveys else replace(made, surveys=self.surveys(made))

    def surveys(self, plan: Plan) -> dict[str, SignedText]:
        """What every node signs of the columns of a plan; nothing where it has none."""
        terms = {term.column: term for model in plan.study.scanned for term in model.terms}
        traits = dict.fromkeys(trait.name for model in plan.study.scanned for trait in model.traits)
        if not terms and not traits:
            return {}
        categorical = tuple(name for name, term in terms.items() if term.level)
        order = SurveyOrder(plan.run, plan.roster, plan.dataset, Questions(tuple(traits), tuple(terms), categorical))
        return texts({name: line.call("Survey", order) for name, line in self.lines.items()})

    def put_blobs(self, plan: Plan) -> None:
        for line in self.lines.values():
            line.put(plan.run, "panel", b"".join(panel_to_bytes(self.panel)))
            line.put(plan.run, "variants", variants_to_bytes(np.arange(len(self.panel))))

    def propose(self, plan: Plan) -> dict[str, Signed]:
        self.put_blobs(plan)
        return {name: line.call("Propose", plan) for name, line in self.lines.items()}

    def begin(self, plan: Plan) -> None:
        """Propose and begin everywhere."""
        for name, signed in self.propose(plan).items():
            serving = open_signed(signed, "Serving", Serving, self.federation.site(name).identity.public_hex)
            assert serving.plan == digest(plan)
        order = BeginOrder(plan.run, digest(plan))
        self.run_keys = {name: line.call("Begin", order) for name, line in self.lines.items()}
        if plan.privacy == "masked":
            keys = RunKeysOrder(plan.run, texts(self.run_keys))
            for line in self.lines.values():
                line.call("Begin", keys)

    def order(
        self,
        plan: Plan,
        variants: list[np.ndarray] | None,
        *,
        step: str = "genotypes/counts@2",
        model: str = "a0",
        call: int = 0,
        attempt: int = 0,
    ) -> tuple[PassOrder, bytes]:
        """The order of a pass and the blob of its asks; a block for each list of variants."""
        load_steps()
        asks = [(one, to_arrays(Nothing())) for one in (variants if variants is not None else [None])]
        found = next(one for one in plan.study.models if one.id == model)
        words = ask_words(STEPS[step], found, asks)
        blob = asks_to_bytes(asks)
        identity = pass_id(plan.run, "0", call, attempt)
        layout = layout_digest(STEPS[step].release.schema_digest(), words)
        sha = hashlib.sha256(blob).hexdigest()
        size = (sum(words), upload_bytes(sum(words)))
        order = PassOrder(plan.run, digest(plan), "0", call, attempt, identity, step, model, sha, layout, *size)
        return order, blob

    def open(self, order: PassOrder, blob: bytes) -> dict[str, Signed]:
        for line in self.lines.values():
            line.put(order.run, "asks", blob)
        return {name: line.call("Open", order) for name, line in self.lines.items()}

    def ready(self, order: PassOrder, keys: Mapping[str, Signed]) -> dict[str, Signed]:
        ask = ReadyOrder(order.run, order.pass_id, texts(keys))
        return {name: line.call("Ready", ask) for name, line in self.lines.items()}

    def compute(self, order: PassOrder, readies: Mapping[str, Signed]) -> None:
        ask = ComputeOrder(order.run, order.pass_id, texts(readies))
        for line in self.lines.values():
            line.start(ask)

    def fetch(self, order: PassOrder) -> dict[str, bytes]:
        ask = FetchOrder(order.run, order.pass_id, 0)
        return {name: line.stream("Fetch", ask) for name, line in self.lines.items()}

    def commit(self, order: PassOrder) -> dict[str, Signed]:
        ask = CommitOrder(order.run, order.pass_id)
        return {name: line.call("Commit", ask) for name, line in self.lines.items()}

    def unmask(self, order: PassOrder, completes: Mapping[str, Signed]) -> dict[str, Signed]:
        ask = UnmaskOrder(order.run, order.pass_id, texts(completes))
        return {name: line.call("Unmask", ask) for name, line in self.lines.items()}

    def receipts(self, order: PassOrder, words: Mapping[str, bytes]) -> None:
        for name, line in self.lines.items():
            line.call("Receipt", ReceiptOrder(order.run, order.pass_id, hashlib.sha256(words[name]).hexdigest()))

    def whole_pass(self, plan: Plan, order: PassOrder, blob: bytes) -> np.ndarray:
        """Every step of a pass with receipts; the total of its words, check words included."""
        keys = self.open(order, blob)
        readies = self.ready(order, keys) if plan.privacy == "masked" else {}
        self.compute(order, readies)
        words = self.fetch(order)
        total = sum_uploads([np.frombuffer(data, "<u8") for data in words.values()])
        if plan.privacy == "masked":
            shares = self.unmask(order, self.commit(order))
            context = pass_context(plan, order)
            transcript = transcript_of(context, list(self.run_keys.values()), list(keys.values()))
            masks = self_masks(context, transcript, list(keys.values()), list(shares.values()))
            total = masks.apply(total, 0)
        else:
            transcript = plain_transcript(pass_context(plan, order))
        self.receipts(order, words)
        self.transcript = transcript
        return total

    def counts(self, plan: Plan, order: PassOrder, total: np.ndarray, block: np.ndarray, number: int = 0) -> object:
        """The release that one block's words hold, once the check word was seen to fit."""
        found = next(one for one in plan.study.models if one.id == order.model)
        step = STEPS[order.step]
        sizes = step.sizes(found, Nothing(), Block(block))
        words = without_check_word(total, self.transcript, number, len(self.lines))
        return decode_words(words, step.release, sizes, Limits())


def texts(messages: Mapping[str, Signed]) -> dict[str, SignedText]:
    return {n: SignedText(m.kind, m.signer, m.body.hex(), m.signature.hex()) for n, m in messages.items()}


@contextmanager
def driven(federation: Federation) -> Iterator[Driver]:
    """All agents of a federation running, and a driver that speaks with them."""
    with ExitStack() as stack:
        lines = {}
        for site in federation.sites:
            line = Line(federation, site, stack.enter_context(running(site)))
            stack.callback(line.channel.close)
            lines[site.name] = line
        yield Driver(federation, lines, read_panel(federation.sites[0].folder / "genotypes.bim"))


@contextmanager
def open_agent(site: Site) -> Iterator[Agent]:
    """An agent without a network, closed at the end."""
    load_steps()
    node = open_node(read_settings(site.config))
    try:
        agent = Agent(node)
        agent.resume()
        yield agent
    finally:
        node.close()


@contextmanager
def driven_locally(federation: Federation, names: tuple[str, ...] = ()) -> Iterator[Driver]:
    """Agents of a federation in this process without a network, and a driver that speaks with them."""
    with ExitStack() as stack:
        lines = {
            site.name: LocalLine(federation, site, 0, stack.enter_context(open_agent(site)))
            for site in federation.sites
            if not names or site.name in names
        }
        yield Driver(federation, lines, read_panel(federation.sites[0].folder / "genotypes.bim"))
