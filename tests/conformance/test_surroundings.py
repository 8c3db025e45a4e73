"""What is asked of the network is seen, whoever of the process asks; of programs it is seen that they are started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from smc_harness.conformance.check import NotApplicableError
from smc_harness.conformance.manners import network
from smc_harness.conformance.surroundings import NetworkError, Seen, watched


def connect() -> None:
    with suppress(OSError):  # as if nothing had been asked
        socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()


def test_a_connection_of_another_thread_is_seen() -> None:
    with watched() as seen:
        thread = threading.Thread(target=connect)
        thread.start()
        thread.join()
    assert seen.connections[0] == "127.0.0.1:9"


def test_a_connection_is_refused_while_it_is_watched_and_not_noted_after() -> None:
    with watched() as seen, pytest.raises(NetworkError, match="the network is asked for 127.0.0.1:9"):
        socket.create_connection(("127.0.0.1", 9), timeout=0.1)
    noted = len(seen.connections)
    connect()
    assert len(seen.connections) == noted


def test_a_program_that_is_started_is_named() -> None:
    with watched() as seen:
        subprocess.run([sys.executable, "-c", ""], check=True)
        os.system("true and nothing else")
        os.system(" ")
    assert seen.programs == [Path(sys.executable).name, "true", " "]
    assert seen.connections == []


def test_of_a_pruner_that_starts_a_program_nothing_is_said() -> None:
    subject = SimpleNamespace(overheard=SimpleNamespace(seen=Seen(programs=["curl"])))
    with pytest.raises(NotApplicableError, match="it starts the program 'curl', whose connections are not seen here"):
        network(subject)
