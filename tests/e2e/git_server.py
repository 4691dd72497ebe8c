"""A Git host for tests: `git http-backend` behind a small server. python git_server.py ADDRESS PORT FOLDER

Repositories below /private/ want the user "robot" with the password in FOLDER/password.
"""

import base64
import http.server
import os
import pathlib
import socketserver
import subprocess
import sys

FOLDER = pathlib.Path(sys.argv[3])


class Handler(http.server.BaseHTTPRequestHandler):
    def allowed(self):
        if not self.path.startswith("/private/"):
            return True
        proof = base64.b64encode(b"robot:" + (FOLDER / "password").read_bytes()).decode()
        return self.headers.get("Authorization") == f"Basic {proof}"

    def serve(self):
        if not self.allowed():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        env = {
            **os.environ, "GIT_PROJECT_ROOT": str(FOLDER), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_USER": "robot",
            "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n") if line]
        self.send_response(next((int(v.split()[0]) for k, v in fields if k == "Status"), 200))
        for key, value in fields:
            if key != "Status":
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = serve  # noqa: N815

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
