// A server on the official TypeScript SDK v2.
// Usage: node server-v2.mjs --stdio | --port N --era modern|dual [--world FOLDER]
//   modern  2026-07-28 only: `initialize` is refused as the SDK does
//   dual    both eras, the legacy one with sessions
// Over HTTP it prints "listening on URL" once it listens.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import {
    createMcpHandler,
    createRequestStateCodec,
    inputRequired,
    isInitializeRequest,
    isLegacyRequest,
    McpServer,
    ProtocolError
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

import { announce, CAPABILITIES, handlers, INFO, INSTRUCTIONS, inputSchema } from './fixture.mjs';
import { World } from './world.mjs';

const RESOURCE_NOT_FOUND = { legacy: -32002, modern: -32602 };
const ASK = {
    'elicitation/create': inputRequired.elicit,
    'sampling/createMessage': inputRequired.createMessage,
    'roots/list': () => inputRequired.listRoots()
};

/** Thrown to leave a handler that needs an answer first; the client's retry runs it again. */
class Pending extends Error {
    constructor(key, method, params) {
        super(`${method} must be answered first`);
        this.inputRequests = { [key]: ASK[method](params) };
    }
}

/** The server class, but with the fixture's own schemas: the SDK compares `Mcp-Param-*` with them. */
class FixtureServer extends McpServer {
    toolInputSchemaJson(name) {
        return inputSchema(name);
    }
}

// Fixed, so that a retry may reach another process of this server, as the protocol allows.
const sealed = createRequestStateCodec({ key: 'conduit-matrix-fixture-state-key' });

function build(world, era) {
    const options = { capabilities: CAPABILITIES, instructions: INSTRUCTIONS, requestState: { verify: sealed.verify } };
    const fixture = new FixtureServer(INFO, options);
    const { server } = fixture;
    const call = (ctx, answers) => ({
        signal: ctx.mcpReq.signal,
        missingResourceCode: RESOURCE_NOT_FOUND[era],
        failure: (code, message, data) => new ProtocolError(code, message, data),
        progress: async (progress, total) => {
            const progressToken = ctx.mcpReq._meta?.progressToken;
            if (progressToken === undefined) return;
            await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total } });
        },
        log: (level, data) => ctx.mcpReq.log(level, data, 'fixture'),
        ask: async (key, method, params) => {
            if (!(key in answers)) throw new Pending(key, method, params);
            return answers[key];
        }
    });
    for (const [method, handler] of Object.entries(handlers(world))) {
        server.setRequestHandler(method, async ({ params }, ctx) => {
            const answers = { ...ctx.mcpReq.requestState()?.answers, ...ctx.mcpReq.inputResponses };
            try {
                return await handler(params, call(ctx, answers));
            } catch (error) {
                if (!(error instanceof Pending)) throw error;
                const requestState = await sealed.mint({ answers }, ctx);
                return inputRequired({ inputRequests: error.inputRequests, requestState });
            }
        });
    }
    return fixture;
}

/** A server for one legacy session, which hears of changes by itself. */
function buildSession(world) {
    const fixture = build(world, 'legacy');
    const watched = new Set();
    const remember = (action) => async ({ params }) => {
        watched[action](params.uri);
        return {};
    };
    fixture.server.setRequestHandler('resources/subscribe', remember('add'));
    fixture.server.setRequestHandler('resources/unsubscribe', remember('delete'));
    announce(world, fixture.server, (uri) => watched.has(uri));
    return fixture;
}

/** The legacy era with sessions, which `createMcpHandler` leaves to its user. */
function sessionful(world) {
    const sessions = new Map();
    return async (request, response, body) => {
        const known = sessions.get(request.headers['mcp-session-id']);
        if (known) return known.handleRequest(request, response, body);
        const first = request.headers['mcp-session-id'] === undefined && isInitializeRequest(body);
        const transport = new NodeStreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            onsessioninitialized: (session) => sessions.set(session, transport),
            onsessionclosed: (session) => sessions.delete(session)
        });
        if (first) await buildSession(world).connect(transport);
        else {
            const status = request.headers['mcp-session-id'] === undefined ? 400 : 404;
            const error = { jsonrpc: '2.0', error: { code: -32000, message: 'No such session' }, id: null };
            return response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(error));
        }
        return transport.handleRequest(request, response, body);
    };
}

async function bodyOf(request) {
    if (request.method !== 'POST') return undefined;
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
        return JSON.parse(Buffer.concat(chunks).toString());
    } catch {
        return undefined;
    }
}

function serveHttp(world, era, port) {
    const handler = createMcpHandler(() => build(world, 'modern'), {
        legacy: 'reject',
        onerror: (error) => console.error(error)
    });
    const { notify } = handler;
    const publish = {
        tools: () => notify.toolsChanged(),
        prompts: () => notify.promptsChanged(),
        resources: () => notify.resourcesChanged(),
        updated: (uri) => notify.resourceUpdated(uri)
    };
    world.subscribe((kind, part) => publish[kind]?.(part));
    const modern = toNodeHandler(handler);
    const legacy = sessionful(world);
    const answer = async (request, response) => {
        if (era === 'modern') return modern(request, response);
        const body = await bodyOf(request);
        const isLegacy = await isLegacyRequest(await toWebRequest(request, body), body);
        return isLegacy ? legacy(request, response, body) : modern(request, response, body);
    };
    const http = createServer((request, response) => {
        answer(request, response).catch((error) => {
            console.error(error);
            if (!response.headersSent) response.writeHead(500).end();
        });
    });
    http.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`));
}

const { values: options } = parseArgs({
    options: { stdio: { type: 'boolean' }, era: { type: 'string' }, port: { type: 'string' }, world: { type: 'string' } }
});
if (!['modern', 'dual'].includes(options.era) || options.stdio === (options.port !== undefined)) {
    console.error('usage: server-v2.mjs --stdio | --port N --era modern|dual [--world FOLDER]');
    process.exit(2);
}
const world = new World(options.world);
if (options.stdio) {
    const factory = ({ era }) => {
        if (era === 'legacy') return buildSession(world);
        const fixture = build(world, 'modern');
        // The SDK passes on what a client listens to.
        announce(world, fixture.server, () => true);
        return fixture;
    };
    serveStdio(factory, { legacy: options.era === 'modern' ? 'reject' : 'serve', onerror: (error) => console.error(error) });
    process.stdin.on('end', () => process.exit(0));
} else {
    serveHttp(world, options.era, Number(options.port));
}
