// A legacy-only server on the official TypeScript SDK v1, which knows nothing of 2026-07-28.
// Usage: node server-v1.mjs --stdio | --port N [--sse] [--world FOLDER]
//   --sse  the HTTP+SSE transport of 2024-11-05 at /sse, instead of Streamable HTTP with sessions at /mcp
// Over HTTP it prints "listening on URL" once it listens.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as types from '@modelcontextprotocol/sdk/types.js';

import { announce, CAPABILITIES, handlers, INFO, INSTRUCTIONS } from './fixture.mjs';
import { World } from './world.mjs';

const REQUESTS = {
    'tools/list': types.ListToolsRequestSchema,
    'tools/call': types.CallToolRequestSchema,
    'prompts/list': types.ListPromptsRequestSchema,
    'prompts/get': types.GetPromptRequestSchema,
    'resources/list': types.ListResourcesRequestSchema,
    'resources/templates/list': types.ListResourceTemplatesRequestSchema,
    'resources/read': types.ReadResourceRequestSchema,
    'completion/complete': types.CompleteRequestSchema
};
const ANSWERS = {
    'elicitation/create': types.ElicitResultSchema,
    'sampling/createMessage': types.CreateMessageResultSchema,
    'roots/list': types.ListRootsResultSchema
};
const LEVELS = types.LoggingLevelSchema.options;
const RESOURCE_NOT_FOUND = -32002;

/** One server for one session. */
function build(world) {
    const server = new Server(INFO, { capabilities: CAPABILITIES, instructions: INSTRUCTIONS });
    const watched = new Set();
    let level = 'debug';
    const call = (extra) => ({
        signal: extra.signal,
        missingResourceCode: RESOURCE_NOT_FOUND,
        failure: (code, message, data) => new types.McpError(code, message, data),
        progress: async (progress, total) => {
            const progressToken = extra._meta?.progressToken;
            if (progressToken === undefined) return;
            await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total } });
        },
        log: async (of, data) => {
            if (LEVELS.indexOf(of) < LEVELS.indexOf(level)) return;
            await extra.sendNotification({ method: 'notifications/message', params: { level: of, logger: 'fixture', data } });
        },
        ask: (_key, method, params) => extra.sendRequest({ method, params }, ANSWERS[method])
    });
    for (const [method, handler] of Object.entries(handlers(world))) {
        server.setRequestHandler(REQUESTS[method], async ({ params }, extra) => handler(params, call(extra)));
    }
    server.setRequestHandler(types.SetLevelRequestSchema, async ({ params }) => {
        level = params.level;
        return {};
    });
    server.setRequestHandler(types.SubscribeRequestSchema, async ({ params }) => {
        watched.add(params.uri);
        return {};
    });
    server.setRequestHandler(types.UnsubscribeRequestSchema, async ({ params }) => {
        watched.delete(params.uri);
        return {};
    });
    announce(world, server, (uri) => watched.has(uri));
    return server;
}

function refuse(response, status, message) {
    const error = { jsonrpc: '2.0', error: { code: -32000, message }, id: null };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(error));
}

async function bodyOf(request) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString());
}

/** Streamable HTTP as the SDK's own examples wire it: a session for each `initialize`. */
function streamable(world) {
    const sessions = new Map();
    return async (request, response) => {
        const id = request.headers['mcp-session-id'];
        if (id !== undefined) {
            const transport = sessions.get(id);
            if (!transport) return refuse(response, 404, 'Session not found');
            return transport.handleRequest(request, response);
        }
        if (request.method !== 'POST') return refuse(response, 400, 'Bad Request: No valid session ID provided');
        const body = await bodyOf(request);
        if (!types.isInitializeRequest(body)) return refuse(response, 400, 'Bad Request: No valid session ID provided');
        const transport = new StreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            onsessioninitialized: (session) => sessions.set(session, transport),
            onsessionclosed: (session) => sessions.delete(session)
        });
        await build(world).connect(transport);
        return transport.handleRequest(request, response, body);
    };
}

/** HTTP+SSE: GET /sse is the session, POST /messages its requests. */
function serverSentEvents(world) {
    const sessions = new Map();
    return async (request, response) => {
        const { pathname, searchParams } = new URL(request.url, 'http://localhost');
        if (request.method === 'GET' && pathname === '/sse') {
            const transport = new SSEServerTransport('/messages', response);
            sessions.set(transport.sessionId, transport);
            response.on('close', () => sessions.delete(transport.sessionId));
            return build(world).connect(transport);
        }
        const transport = sessions.get(searchParams.get('sessionId'));
        if (request.method !== 'POST' || pathname !== '/messages') return response.writeHead(404).end();
        if (!transport) return refuse(response, 404, 'Session not found');
        return transport.handlePostMessage(request, response);
    };
}

const { values: options } = parseArgs({
    options: { stdio: { type: 'boolean' }, sse: { type: 'boolean' }, port: { type: 'string' }, world: { type: 'string' } }
});
const world = new World(options.world);
if (options.stdio) {
    const transport = new StdioServerTransport();
    await build(world).connect(transport);
    // The watch on the world would keep the process.
    process.stdin.on('end', () => process.exit(0));
} else if (options.port !== undefined) {
    const answer = options.sse ? serverSentEvents(world) : streamable(world);
    const http = createServer((request, response) => {
        answer(request, response).catch((error) => {
            console.error(error);
            if (!response.headersSent) refuse(response, 500, 'Internal error');
        });
    });
    const path = options.sse ? 'sse' : 'mcp';
    http.listen(Number(options.port), '127.0.0.1', () => {
        console.log(`listening on http://127.0.0.1:${http.address().port}/${path}`);
    });
} else {
    console.error('usage: server-v1.mjs --stdio | --port N [--sse] [--world FOLDER]');
    process.exit(2);
}
