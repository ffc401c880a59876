"""An API server between a client and the real one, whose watches can be made to lag: the client's caches stay behind."""

import contextlib
import http.client
import http.server
import json
import socket
import ssl
import threading

from .cluster import Cluster

HOP_BY_HOP = {"connection", "host", "transfer-encoding", "content-length", "authorization"}


class Lagging:
    """As administrator. What is in `held` (plurals) tells nothing more to its watches; lists and single reads are true."""

    def __init__(self, stack):
        cluster, lagging = Cluster(stack), self
        self.held, self.open = set(), True

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                upstream = cluster.connect(timeout=60)
                try:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
                    upstream.request(self.command, self.path, body or None, headers)
                    lagging.answer(self, upstream.getresponse())
                except OSError:
                    self.close_connection = True
                finally:
                    upstream.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128  # all watches of an operator come at once

        self.server = Server(("127.0.0.1", 0), Handler)
        self.authority, tls = stack.env["KUBE_CA_FILE"], ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{stack.directory}/pki/kube-apiserver.crt", f"{stack.directory}/pki/kube-apiserver.key")
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler, response):
        handler.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                handler.send_header(name, value)
        path, _, query = handler.path.partition("?")
        if "watch=" not in query:
            body = response.read()
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        self.stream(handler, response, path.rpartition("/")[2])

    def stream(self, handler, response, resource):
        """Line by line; what came while it was held comes when it is held no more."""
        lines = []
        with contextlib.suppress(TimeoutError, socket.timeout, http.client.HTTPException):
            while self.open and (line := response.readline()):
                lines.append(line)
                while resource not in self.held and lines:
                    first = lines.pop(0)
                    handler.wfile.write(b"%x\r\n%s\r\n" % (len(first), first))
        handler.close_connection = True

    def kubeconfig(self, path):
        """For a client that says nothing of who it is."""
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "lagging",
            "clusters": [{"name": "lagging", "cluster": {
                "server": f"https://127.0.0.1:{self.server.server_port}", "certificate-authority": self.authority}}],
            "users": [{"name": "lagging", "user": {"token": "none"}}],
            "contexts": [{"name": "lagging", "context": {"cluster": "lagging", "user": "lagging"}}]}))
        return str(path)

    def close(self):
        self.open = False
        self.server.shutdown()
        self.server.server_close()
