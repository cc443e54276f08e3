"""The health check of an image: ends with status 0 when the process in the container takes requests.

`ready.py PORT` asks /readyz. `ready.py PORT any` takes any answer, for the gateway, which has no /readyz of its own. An
engine starts it every few seconds in each container, so it imports little.
"""  # noqa: INP001 -- a file of the images, no package

import socket
import sys

port, *accepted = sys.argv[1:]
with socket.create_connection(("127.0.0.1", int(port)), timeout=4) as connection:
    connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    status = connection.recv(64).split()[1:2]
sys.exit(not status or (status != [b"200"] and accepted != ["any"]))
