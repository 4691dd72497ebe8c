"""The program as an administrator runs it: its ports, TLS, its log and its end."""

import http.client
import json
import re
import socket
import ssl
import subprocess
import time

import pytest

from harness import Answer, buildconfig, github_headers, github_payload, push, wait_for


def ready(cluster, namespace, name):
    wait_for("Ready", lambda: cluster.annotation(namespace, name, "github-state") == "Ready")
    return cluster.secret_value(namespace, f"{name}-hook")


def test_only_the_namespaces_and_labels_that_were_named_are_served(cluster, start, namespace):
    other = cluster.namespace()
    body = buildconfig("cart")
    body["metadata"]["labels"] = {"team": "shop"}
    cluster.create(other, body)
    cluster.create(namespace, buildconfig("plain"))
    buildhook = start("--namespace", namespace, "--namespace=nowhere", "--selector", "team in (shop, web)")
    cluster.create(namespace, body)
    secret = ready(cluster, namespace, "cart")
    assert push(buildhook, namespace, "cart", secret).status == 200
    assert push(buildhook, other, "cart", secret).status == 401
    assert push(buildhook, namespace, "plain", secret).status == 401
    assert cluster.annotation(other, "cart", "github-state") == "" == cluster.annotation(namespace, "plain", "github-state")
    assert not cluster.find_secret_value(other, "cart-hook")
    cluster.patch(namespace, "cart", {"metadata": {"labels": {"team": "other"}}})
    wait_for("it to be let go", lambda: push(buildhook, namespace, "cart", secret).status == 401)


@pytest.fixture
def certificate(tmp_path):
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
               "-subj", "/CN=hooks", "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files


def test_it_serves_https_itself(cluster, start, namespace, certificate):
    buildhook = start(f"--tls-cert={certificate[0]}", f"--tls-key={certificate[1]}")
    cluster.create(namespace, buildconfig("cart"))
    secret = ready(cluster, namespace, "cart")
    host, port = buildhook.address.rsplit(":", 1)
    connection = http.client.HTTPSConnection(host, int(port), context=ssl.create_default_context(cafile=certificate[0]), timeout=30)
    body = json.dumps(github_payload()).encode()
    connection.request("POST", f"/hooks/{namespace}/cart/github", body=body, headers=github_headers(secret, body))
    assert Answer(connection.getresponse()).json["kind"] == "Build"
    metrics = buildhook.admin_get("/metrics").body.decode()
    (ends,) = re.findall(r"^buildhook_tls_certificate_not_after_seconds (\S+)$", metrics, re.M)
    assert 29 * 86400 < float(ends) - time.time() < 31 * 86400


def test_the_log_is_one_record_a_line(cluster, start, namespace):
    cluster.create(namespace, buildconfig("cart"))
    json_log = start(name="json")
    secret = ready(cluster, namespace, "cart")
    assert push(json_log, namespace, "cart", secret, delivery="d-1").status == 200
    wait_for("the record", lambda: "d-1" in json_log.log())
    records = [json.loads(line) for line in json_log.log().splitlines()]
    for record in records:
        assert list(record)[:4] == ["time", "level", "logger", "message"], record
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
    (delivery,) = [r for r in records if r["message"] == "delivery"]
    assert (delivery["namespace"], delivery["name"], delivery["provider"]) == (namespace, "cart", "github")
    assert (delivery["delivery"], delivery["build"]) == ("d-1", "cart-1")


def test_it_ends_in_order_at_sigterm_and_at_once_at_the_second(cluster, start, namespace):
    cluster.create(namespace, buildconfig("cart"))
    buildhook = start()
    secret = ready(cluster, namespace, "cart")
    body = json.dumps(github_payload()).encode()
    headers = {**github_headers(secret, body), "Content-Length": str(len(body)), "Host": buildhook.address}
    head = f"POST /hooks/{namespace}/cart/github HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    host, port = buildhook.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode() + body[:100])
        wait_for("the request to be there", lambda: buildhook.admin_get("/healthz").status == 200)
        time.sleep(0.3)
        buildhook.process.terminate()
        time.sleep(0.3)
        connection.sendall(body[100:])
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert Answer(response).json["metadata"]["name"] == "cart-1"
    assert buildhook.process.wait(timeout=20) == 0
    assert '"stopped"' in buildhook.log().splitlines()[-1]

    buildhook.start()
    with socket.create_connection((host, int(buildhook.address.rsplit(":", 1)[1])), timeout=20) as connection:
        connection.sendall(head.encode() + body[:100])
        time.sleep(0.3)
        buildhook.process.terminate()
        wait_for("the log to say so", lambda: '"shutting down"' in buildhook.log().splitlines()[-1])
        assert buildhook.process.poll() is None
        buildhook.process.terminate()
        assert buildhook.process.wait(timeout=5) == 1
