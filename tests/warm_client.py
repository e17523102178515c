"""Sends one `emo` command to ``warm_server.py``: ``python -IS warm_client.py SOCKET WORDS…``.

Imports next to nothing, so that a command costs milliseconds.
"""

import json
import os
import socket
import sys


def main() -> int:
    with socket.socket(socket.AF_UNIX) as call:
        call.connect(sys.argv[1])
        request = {"words": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(call, [message], [0, 1, 2])
        call.sendall(message[sent:])
        answer = call.recv(16)
    return int(answer or b"70")  # 70: the server broke


if __name__ == "__main__":
    sys.exit(main())
