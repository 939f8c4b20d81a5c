"""The cable itself: a fault that it adds by accident would be blamed on hotdesk."""

import socket
import threading

from simulator.ports import free_port
from tests.support.cable import HOST, Cable


def answers(port: int) -> bytes:
    """Connect, and give what the other end says; nothing where it hangs up."""
    with socket.create_connection((HOST, port), timeout=5) as end:
        try:
            return end.recv(16)
        except ConnectionResetError:
            return b""


def test_who_is_away_is_hung_up_on_and_reached_again_when_back() -> None:
    port = free_port()
    with Cable(port) as cable:
        assert answers(cable.port) == b""
        with socket.create_server((HOST, port)) as server:

            def greet() -> None:
                end, _ = server.accept()
                with end:
                    end.sendall(b"hello")

            greeter = threading.Thread(target=greet)
            greeter.start()
            assert answers(cable.port) == b"hello"
            greeter.join(5)
