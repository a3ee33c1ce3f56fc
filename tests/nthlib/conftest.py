"""What tests of several modules share: a count of compilations, a machine of any size."""

import jax
import pytest


@pytest.fixture
def compilations():
    """The names of what JAX compiles while the test runs."""
    seen = []

    def listen(event, duration, **_):
        if event.endswith("backend_compile_duration"):
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def machine(monkeypatch):
    """A machine with this many bytes."""
    return lambda size: monkeypatch.setattr("nthlib.memory._physical_memory", lambda: size)
