"""Clients for the systems under test: one small interface, and one module per protocol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module

from splitbrain.nodes.clients.base import Endpoint, SystemClient
from splitbrain.nodes.clients.insides import Insides
from splitbrain.nodes.systems.base import System


def client_of(
    system: System, endpoints: Mapping[str, Endpoint], servers: Collection[str], inside: Insides
) -> SystemClient:
    """Create the client for that system's machines, imported lazily: simulations need no HTTP library."""
    if system.probe is not None:
        from splitbrain.nodes.clients.probe import ProbeClient

        return ProbeClient(endpoints, system.probe, servers, inside)
    module, _, name = system.client.partition(":")
    make: Callable[[Mapping[str, Endpoint]], SystemClient] = getattr(import_module(module), name)
    return make(endpoints)


__all__ = ["Endpoint", "SystemClient", "client_of"]
