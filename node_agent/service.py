"""The agent's service: which methods it has, and where it listens."""

from fedstats.serving.server import Server, Service, listen, mutual_tls
from fedstats.wire.generated.fedstats.v1 import node_pb2_grpc
from fedstats.wire.messages import AFTER_BLOB
from node_agent.agent import HANDLERS, STREAMS, Agent
from node_agent.blob_folder import ROOM_BYTES


async def start_server(agent: Agent) -> Server:
    """Listen where node.toml says; not ready yet."""
    settings, keys = agent.node.settings, agent.node.keys
    service = Service(
        agent=agent,
        name="fedstats.v1.Node",
        base=node_pb2_grpc.NodeServicer,
        add=node_pb2_grpc.add_NodeServicer_to_server,
        calls=HANDLERS,
        streams=STREAMS,
        room_bytes=ROOM_BYTES,
        following=AFTER_BLOB,
    )
    return await listen(service, settings.host, settings.port, mutual_tls(keys.leaf, keys.coordinators.values()))
