#!/usr/bin/env bash
# wandb 0.31.0
#
# Behaviour: a run for which wandb.init raises, as the server does not know the key, stays taken: the same call with
# mode="offline", in the same process, raises "run ID ... is in use". After wandb.teardown() it works.
# Expected: where wandb.init raises, there is no run, so a program that catches the error may go on offline under the id
# that its own files already name.
#
# Output seen (the server is a stand-in on this machine that answers each request with 401):
#   online:                 CommError
#   offline, same id:       ServerResponseError: run ID finding1 is in use
#   offline after teardown: ok
#
# Backdrop therefore tears W&B's own process down before it goes on offline (experiments/runs/loggers.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'wandb==0.31.0'

cat > "$folder/show.py" <<'PYTHON'
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Refuses(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        text = b'{"errors": [{"message": "unauthorized"}]}'
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
Thread(target=server.serve_forever, daemon=True).start()
for name in ("WANDB_MODE", "NETRC"):
    os.environ.pop(name, None)
os.environ |= {"WANDB_API_KEY": "x" * 40, "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "HOME": sys.argv[1]}

import wandb


def begin(mode):
    try:
        run = wandb.init(
            project="p", id="finding1", dir=sys.argv[1], mode=mode, settings=wandb.Settings(console="off", silent=True)
        )
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    run.finish()
    return "ok"


online, offline = begin("online"), begin("offline")
wandb.teardown()
after = begin("offline")
print("online:                ", online.split(":")[0])
print("offline, same id:      ", offline)
print("offline after teardown:", after)
assert online.startswith("CommError"), "changed: the refused key is another error"
assert "run ID finding1 is in use" in offline, "changed: the id of a run that could not begin is free"
assert after == "ok", "changed: teardown no longer frees the id"
PYTHON
"$folder/venv/bin/python" "$folder/show.py" "$folder" 2>/dev/null
