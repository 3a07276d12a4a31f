"""Why a peer could not be reached, from what gRPC says of it: our own end's view, which tells nothing of the peer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """One way in which a connection fails.

    Attributes
    ----------
    code
        What the error is called.
    words
        The cause in a message, "" where gRPC gives none that helps.
    hint
        What to look at; `{peer}` is its name.
    """

    code: str
    words: str
    hint: str


_UNKNOWN = Cause("UNAVAILABLE", "", "Is the agent of {peer} running?")

#: Causes with words of gRPC's, in lower case, by which they are known; the first that fits is the one.
_CAUSES: tuple[tuple[tuple[str, ...], Cause], ...] = (
    (
        ("certificate_verify_failed", "hostname verification"),
        Cause(
            "FOREIGN_CERTIFICATE",
            "",
            "Check the address, or ask {peer} for its present card and lay it beside roster.toml.",
        ),
    ),
    (
        ("errors resolving", "address lookup failed", "dns resolution failed"),
        Cause(
            "UNRESOLVED",
            "the name does not resolve",
            "Check the address of {peer} in federation.toml, and this machine's name service.",
        ),
    ),
    (
        ("wrong_version_number",),
        Cause("NOT_TLS", "whoever is there does not speak TLS", "Check the address and port of {peer}."),
    ),
    (
        ("timed out", "timeout occurred", "endpoint closing", "fd shutdown"),
        Cause("NO_CONNECTION", "no connection in time", "Is the agent of {peer} running, and no firewall in between?"),
    ),
    (
        ("no route to host", "network is unreachable", "host is down"),
        Cause("NO_ROUTE", "no way leads there", "Check the address of {peer}, and this machine's network."),
    ),
    (
        ("handshak", "socket closed", "connection reset"),
        Cause("CLOSED", "the connection was closed", "If it stays so: has {peer} trusted your card?"),
    ),
    (("connection refused",), Cause("UNAVAILABLE", "connection refused", _UNKNOWN.hint)),
)


def cause_of(details: str) -> Cause:
    """What gRPC's details of a call that did not reach a peer mean."""
    said = details.lower()
    return next((cause for words, cause in _CAUSES if any(word in said for word in words)), _UNKNOWN)
