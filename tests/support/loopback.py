"""What servers on loopback have in common."""

import http.server
import threading


class Server(http.server.ThreadingHTTPServer):
    """A server that serves within its context, on a port of its own."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(('127.0.0.1', 0), handler)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return super().__enter__()

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)
