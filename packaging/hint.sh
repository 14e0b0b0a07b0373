#!/usr/bin/env bash
# Says how to use the gateway that `make run` is about to start.
set -euo pipefail
config=${1:-conf/quickstart.yaml}
[ "$config" = conf/quickstart.yaml ] || exit 0
cat <<'TEXT'

Starting a gateway with a demo server behind it:  http://127.0.0.1:8080/mcp/demo

Try it from another terminal:

  curl -s http://127.0.0.1:8080/mcp/demo -H 'Mcp-Method: tools/call' -H 'Mcp-Name: add' -H 'MCP-Protocol-Version: 2026-07-28' -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'

Connect a client:

  Claude Code:  claude mcp add --transport http demo http://127.0.0.1:8080/mcp/demo
  Cursor, VS Code and others:  {"mcpServers": {"demo": {"url": "http://127.0.0.1:8080/mcp/demo"}}}

Your own servers: copy conf/quickstart.yaml, edit it, and run  make run CONFIG=your.yaml
Stop with Ctrl-C.

TEXT
