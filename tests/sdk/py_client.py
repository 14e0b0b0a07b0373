"""The official Python SDK (`mcp` 2.x) against an MCP endpoint, in either era.

Usage: python3 py_client.py URL [all|scenario,…] --legacy | --fixtures | --held
  --legacy    2025-11-25 against server-everything
  --fixtures  2026-07-28, negotiated, against a server with the conformance fixtures
  --held      2026-07-28, pinned, against ts-v2-server.mjs

Prints {"name","ok","detail"} for each scenario, one JSON line each; exit code 0, 1 (a failure) or 2 (usage).
`detail` holds only what is the same on every run, so that two runs can be compared.
Nothing waits without a deadline, and no scenario sleeps: each waits for the thing that it tests.
"""

from py_legacy import LEGACY
from py_modern import FIXTURES, HELD
from py_peer import run

if __name__ == "__main__":
    run(
        {
            "--legacy": ("legacy", LEGACY),
            "--fixtures": ("auto", FIXTURES),
            "--held": ("2026-07-28", HELD),
        }
    )
