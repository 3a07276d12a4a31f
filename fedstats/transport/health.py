"""Whether an agent is ready: one question to its health service, over the same mutual TLS as everything else."""

from typing import Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fedstats.identity.card import Card
from fedstats.identity.keys import Leaf


class Credentials(Protocol):
    """What dialling needs of the caller."""

    @property
    def leaf(self) -> Leaf:
        """The caller's own certificate and key."""
        ...


def is_serving(coordinator: Credentials, card: Card, address: str, *, seconds: float = 2.0) -> bool:
    """Whether the agent with this card answers SERVING at the address."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=card.certificate.encode(),
        private_key=coordinator.leaf.private_pem,
        certificate_chain=coordinator.leaf.certificate_pem,
    )
    options = (("grpc.ssl_target_name_override", card.name),)
    with grpc.secure_channel(address, credentials, options) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=seconds)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
