"""A Ray cluster of several nodes on this machine, in processes of their own.

    python -m tests.execution.nodes 2

starts a head that computes nothing and so many nodes with one CPU each, and says the head's address; every line on
standard input then removes a node, without a warning to it. It ends with its standard input.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.workshop import ROOT


@dataclass
class Nodes:
    """A cluster in another process."""

    process: subprocess.Popen[str]
    address: str

    @property
    def words(self) -> tuple[str, ...]:
        """Of a command line that runs on it."""
        return "--dist", "ray", "--ray-address", self.address

    def remove(self) -> None:
        """Take one away, in the middle of whatever it does."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("remove\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "removed\n"


@contextmanager
def nodes(count: int) -> Iterator[Nodes]:
    """So many nodes, for as long as the context lasts."""
    command = [sys.executable, "-m", "tests.execution.nodes", str(count)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield Nodes(process, process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def main(count: int) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small = {"include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster()
    cluster.add_node(num_cpus=0, **small)
    workers: list[Any] = [cluster.add_node(num_cpus=1, **small) for _ in range(count)]
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(workers.pop(0), allow_graceful=False)
        print("removed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
