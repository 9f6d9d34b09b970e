"""The page's server: whom it answers, what it bears, and that it keeps and tells nothing."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from med_lora.ask.arms import MAX_QUESTION
from med_lora.ask.server import HOST, MAX_BODY, listen, make_app, serve
from med_lora.errors import InputError

from .replies import FOUR, GivenAnswers
from .serving import running

PORT = 8765
ORIGIN = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def asker() -> GivenAnswers:
    return GivenAnswers(FOUR)


@pytest.fixture
def client(asker: GivenAnswers) -> TestClient:
    return TestClient(make_app(asker, PORT), base_url=ORIGIN)


def post(client: TestClient, body: Any, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Origin": ORIGIN, "Content-Type": "application/json"} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    return client.post("/ask", content=content, headers=given)


def events(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_question_is_answered_by_all_arms_with_its_sources(client: TestClient) -> None:
    first, *replies = events(post(client, {"question": "Why?"}))
    assert [passage["citation"] for passage in first["sources"]] == ["A Book, Joints, p. 3", ""]
    finished = {reply["arm"]: reply["text"] for event in replies if (reply := event["reply"])["finish_reason"]}
    assert finished == FOUR
    assert len(replies) > len(FOUR) * 2


def test_the_page_comes_with_its_policy(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'; connect-src 'self'; img-src data:; "
        r"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        policy,
    )
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert "an &lt;b&gt;experiment&lt;/b&gt;" in response.text
    assert not re.search(r"https?://", response.text)


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", f"[::1]:{PORT}", "", "localhost"],
)
def test_another_name_is_refused(client: TestClient, asker: GivenAnswers, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 421
    assert post(client, {"question": "Why?"}, Host=host).status_code == 421
    assert asker.asked == []


def test_localhost_is_this_machine_too(client: TestClient) -> None:
    host = f"localhost:{PORT}"
    assert client.get("/", headers={"Host": host}).status_code == 200
    assert post(client, {"question": "Why?"}, Host=host, Origin=f"http://{host}").status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", f"https://127.0.0.1:{PORT}", f"http://localhost:{PORT}", "http://127.0.0.1"],
)
def test_the_page_of_another_site_cannot_ask(client: TestClient, asker: GivenAnswers, origin: str) -> None:
    assert post(client, {"question": "Why?"}, Origin=origin).status_code == 403
    assert asker.asked == []


def test_a_request_without_an_origin_is_refused(client: TestClient, asker: GivenAnswers) -> None:
    assert client.post("/ask", json={"question": "Why?"}).status_code == 403
    assert asker.asked == []


def test_no_other_site_is_told_that_it_may_read(client: TestClient) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    response = client.options("/ask", headers=headers)
    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"question": "a" * (MAX_QUESTION + 1)}, 422),
        ({"question": "  "}, 422),
        ({"question": "\ud800"}, 422),
        ({"question": 3}, 422),
        ({"question": "Why?", "arm": "x"}, 422),
        ([], 422),
        (b"question=Why", 422),
        (b"\xff\xfe", 422),
        (b"[" * 60_000, 422),
        (b" " * (MAX_BODY + 1), 413),
    ],
    ids=["long", "blank", "surrogate", "number", "extra", "list", "no_json", "no_utf8", "deep", "large"],
)
def test_what_is_no_question_is_refused(client: TestClient, asker: GivenAnswers, body: Any, status: int) -> None:
    response = post(client, body)
    assert response.status_code == status
    assert response.text
    assert len(response.text) < 200
    assert asker.asked == []


def test_the_longest_question_fits_however_it_is_written(client: TestClient, asker: GivenAnswers) -> None:
    question = "\U0001f912" * MAX_QUESTION
    assert post(client, {"question": question}).status_code == 200
    assert asker.asked == [question]


def test_a_form_of_another_site_has_no_type_that_is_taken(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert post(client, {"question": "Why?"}, Content_Type=kind).status_code == 415


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/x", 404), ("GET", "/ask", 405), ("GET", "/../pyproject.toml", 404)]
)
def test_nothing_else_is_served(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert "content-security-policy" in response.headers


def test_a_fault_that_a_user_can_mend_is_told(client: TestClient) -> None:
    assert events(post(client, {"question": "faulty"})) == [
        {"error": "The model's logits are not finite; train again."}
    ]


def test_a_bug_tells_neither_page_nor_log_what_was_asked(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    (event,) = events(post(client, {"question": "broken"}))
    assert event == {"error": "The answer failed; the terminal says where."}
    assert "RuntimeError" in caplog.text
    assert "replies.py" in caplog.text
    assert "a secret: broken" not in caplog.text
    assert post(client, {"question": "Why?"}).status_code == 200


def test_a_second_question_has_to_wait(asker: GivenAnswers, client: TestClient) -> None:
    asker.step = threading.Semaphore(0)
    first: list[Any] = []
    asking = threading.Thread(target=lambda: first.append(post(client, {"question": "Why?"})))
    asking.start()
    while not asker.asked:
        asker.closed.wait(0.01)
    second = TestClient(make_app(asker, PORT), base_url=ORIGIN)  # of another server: not held up by this one's turn
    assert second.get("/").status_code == 200
    response = post(client, {"question": "And now?"})
    assert response.status_code == 409
    assert "Another question is being answered" in response.text
    asker.step.release(1000)
    asking.join()
    assert events(first[0])[-1]["reply"]["arm"] == "tuned_rag"
    assert asker.asked == ["Why?"]
    assert post(client, {"question": "And now?"}).status_code == 200


def ask_raw(port: int, question: str) -> socket.socket:
    body = json.dumps({"question": question})
    head = ["POST /ask HTTP/1.1", f"Host: {HOST}:{port}", f"Origin: http://{HOST}:{port}"]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    connection = socket.create_connection((HOST, port))
    connection.sendall("\r\n".join([*head, "", body]).encode())
    return connection


def test_a_reader_who_leaves_stops_the_model(asker: GivenAnswers) -> None:
    asker.step = threading.Semaphore(2)
    with running(asker) as port:
        with ask_raw(port, "Why?") as connection:
            received = b""
            while b"[red]hurts" not in received:  # the second word
                received += connection.recv(65536)
        # the connection is closed; the model goes on until the server has noticed
        for _ in range(200):
            asker.step.release()
            if asker.closed.wait(0.02):
                break
        assert asker.closed.is_set()
        assert asker.words < 2 + 3 + 4  # it had not come to the last arm
        with ask_raw(port, "And now?") as connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_answers_arrive_while_they_are_written(asker: GivenAnswers) -> None:
    asker.step = threading.Semaphore(1)
    with running(asker) as port, ask_raw(port, "Why?") as connection:
        received = b""
        while b'"text": "It"' not in received:
            received += connection.recv(65536)
        assert b"[red]" not in received


def listening_sockets(port: int) -> set[str]:
    """Addresses, as the kernel writes them, at which this machine listens on the port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            host, _, number = address.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.add(host)
    return found


def test_nothing_but_127_0_0_1_is_bound(asker: GivenAnswers) -> None:
    with running(asker) as port:
        assert listening_sockets(port) == {"0100007F"}


def test_a_server_writes_no_line_about_questions(
    asker: GivenAnswers, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    with running(asker) as port, ask_raw(port, "my own secret") as connection:
        while connection.recv(65536):
            if asker.closed.is_set():
                break
    written = caplog.text + "".join(capfd.readouterr())
    for words in ("secret", "hurts", "POST", "/ask"):
        assert words not in written


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with listen(0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(InputError, match=rf"Port {port} of 127\.0\.0\.1 cannot be used .*--port"):
            listen(port)


def test_the_address_that_is_said_is_the_one_that_is_bound(
    asker: GivenAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    class Ended:
        def run(self, sockets: list[socket.socket]) -> None:
            said.append(f"http://{HOST}:{sockets[0].getsockname()[1]}/")

    monkeypatch.setattr("med_lora.ask.server.make_server", lambda *_: Ended())
    serve(asker, 0, said.append)
    assert said[1] in said[0]
