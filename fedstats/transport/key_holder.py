"""A line to a key holder: its service has the same kinds of methods as a node's, so the same transport carries them."""

from fedstats.transport.base import Deadlines
from fedstats.transport.grpc_transport import GrpcTransport
from fedstats.transport.pinning import Caller, Peer
from fedstats.wire.generated.fedstats.v1 import key_holder_pb2_grpc


def key_holder_line(caller: Caller, peer: Peer, deadlines: Deadlines | None = None) -> GrpcTransport:
    """A line to a key holder, whose `peer` has the role "keyholder"; wrap it in a `PatientTransport`."""
    return GrpcTransport(caller, {peer.name: peer}, deadlines or Deadlines(), client=key_holder_pb2_grpc.KeyHolderStub)
