// The client that the conformance suite starts, with the gateway in between: what reaches the suite's mock server is
// what the gateway sends.
//
// Usage, by `conformance client --command`:
//   node conformance-client.mjs GATEWAY legacy|modern single|aggregated auto|modern URL
//   GATEWAY             the binary
//   legacy, modern      the client: TypeScript SDK v1; v2, pinned to 2026-07-28
//   single, aggregated  it goes through `/mcp/{server}` or `/mcp`
//   auto, modern        what the gateway is told of the server's era
// Exit code: 0, or 1 if there was no connection or no list. What else fails is for the suite to judge.
//
// It lists everything, and calls, gets and reads everything listed, with what MCP_CONFORMANCE_CONTEXT says of the
// arguments, and agrees to whatever it is asked.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

import { within } from './harness.mjs';

const [gateway, era, path, upstreamEra, url] = process.argv.slice(2);
const SERVER = 'mock';
/** Shorter than the suite's own, which would leave the gateway behind. */
const DEADLINE_MS = 15_000;
const POLL_MS = 20;
const IDENTITY = { name: 'conduit-conformance', version: '1.0.0' };
const CAPABILITIES = { elicitation: { form: { applyDefaults: true } } };

// === the gateway ===

async function freePort() {
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.on('listening', resolve));
    const { port } = probe.address();
    await new Promise((resolve) => probe.close(resolve));
    return port;
}

/** Starts a gateway in front of the mock server; its base URL. It ends with this process. */
async function startGateway() {
    const folder = mkdtempSync(join(tmpdir(), 'conduit-conformance-'));
    const port = await freePort();
    const file = join(folder, 'conduit.config.yml');
    const config = {
        gateway: { host: '127.0.0.1', port },
        metrics: { port: await freePort() },
        servers: [{ id: SERVER, url, era: upstreamEra }]
    };
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(config));
    const child = spawn(gateway, ['run', '--config', file], { stdio: ['ignore', 'ignore', 'inherit'] });
    process.on('exit', () => {
        child.kill('SIGKILL');
        rmSync(folder, { recursive: true, force: true });
    });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
    const base = `http://127.0.0.1:${port}`;
    const ready = async () => {
        while (!(await fetch(`${base}/conduit/readyz`).catch(() => ({ ok: false }))).ok) await pause(POLL_MS);
    };
    await ready();
    return base;
}

// === the client ===

/** Lets the user agree to everything; the SDK fills in the defaults. */
function agree(request) {
    const { properties } = request.params.requestedSchema;
    const content = {};
    for (const [name, schema] of Object.entries(properties)) {
        if (!('default' in schema)) content[name] = sample(schema);
    }
    return { action: 'accept', content };
}

async function connect(endpoint) {
    if (era === 'modern') {
        const versionNegotiation = { mode: { pin: '2026-07-28' } };
        const client = new ModernClient(IDENTITY, { capabilities: CAPABILITIES, versionNegotiation });
        client.setRequestHandler('elicitation/create', agree);
        await client.connect(new ModernTransport(endpoint));
        return client;
    }
    const client = new LegacyClient(IDENTITY, { capabilities: CAPABILITIES });
    client.setRequestHandler(ElicitRequestSchema, agree);
    await client.connect(new LegacyTransport(endpoint));
    return client;
}

/** A value that the schema allows. */
function sample(schema) {
    switch (schema.type) {
        case 'boolean':
            return true;
        case 'integer':
        case 'number':
            return 1;
        case 'object':
            return {};
        default:
            return 'text';
    }
}

/** The calls of a tool: those that the scenario names, else one with whatever the schema requires. */
function callsOf(tool, tools) {
    const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
    const named = context.toolCalls?.filter((call) => nameOf(call.name) === tool.name);
    if (named) return named.map((call) => call.arguments);
    const { properties = {}, required = [] } = tool.inputSchema;
    const values = required.map((name) => [name, sample(properties[name] ?? {})]);
    const args = Object.fromEntries(values);
    // Says what it was told of another tool's schema.
    const other = tools.find((one) => one.name === nameOf('json_schema_2020_12_tool'));
    if (tool.name === nameOf('json_schema_echo') && other) args.schema = other.inputSchema;
    return [args];
}

const nameOf = (name) => (path === 'aggregated' ? `${SERVER}.${name}` : name);

async function attempt(what) {
    try {
        await what();
    } catch (error) {
        console.error(error.message);
    }
}

async function exercise(client) {
    const { tools } = await client.listTools();
    for (const tool of tools) {
        for (const args of callsOf(tool, tools)) {
            await attempt(() => client.callTool({ name: tool.name, arguments: args }));
        }
    }
    const able = client.getServerCapabilities() ?? {};
    if (able.prompts) {
        const { prompts } = await client.listPrompts();
        for (const { name } of prompts) await attempt(() => client.getPrompt({ name }));
    }
    if (able.resources) {
        const { resources } = await client.listResources();
        for (const { uri } of resources) await attempt(() => client.readResource({ uri }));
    }
}

async function run() {
    const base = await startGateway();
    const client = await connect(new URL(path === 'aggregated' ? `${base}/mcp` : `${base}/mcp/${SERVER}`));
    await exercise(client);
    await client.close();
}

await within(run(), 'the scenario', DEADLINE_MS);
// The client may still hold connections.
process.exit(0);
