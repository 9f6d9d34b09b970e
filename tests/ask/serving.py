"""The page's server in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from med_lora.ask.server import listen, make_server

from .replies import GivenAnswers


@contextmanager
def running(asker: GivenAnswers) -> Iterator[int]:
    """The port of a real server of this process."""
    with listen(0) as bound:
        port = bound.getsockname()[1]
        server = make_server(asker, port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield port
        finally:
            asker.step.release(1_000_000)
            server.should_exit = True
            thread.join()
