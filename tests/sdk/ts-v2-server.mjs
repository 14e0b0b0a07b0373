// A both-era server on the official TypeScript SDK v2. The fixtures have the names that the conformance suite
// gives them; three tools more make timing visible without a clock:
//   hold {key}       reports progress once, then answers only when `release` was called with its key
//   release {key}
//   cancelled {key}  answers how often a `hold` of that key was cancelled, waiting for the first time
//
// Usage: node ts-v2-server.mjs --stdio | --port N   (prints "listening on http://127.0.0.1:N/mcp")

import { createServer } from 'node:http';

import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import {
    acceptedContent,
    completable,
    createMcpHandler,
    InMemoryServerEventBus,
    inputRequired,
    inputResponse,
    McpServer,
    ResourceTemplate
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';

const say = (text) => ({ content: [{ type: 'text', text }] });
const KEY = z.object({ key: z.string() });
const NAME = z.object({ name: z.string() });
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** One-time signals by name: `once` waits for the first `fire` of that name, past or to come. */
class Signals {
    #all = new Map();

    #of(name) {
        if (!this.#all.has(name)) {
            let fire;
            const fired = new Promise((resolve) => (fire = resolve));
            this.#all.set(name, { fire, fired, count: 0 });
        }
        return this.#all.get(name);
    }

    fire(name) {
        const signal = this.#of(name);
        signal.count += 1;
        signal.fire();
        return signal.count;
    }

    async once(name) {
        const signal = this.#of(name);
        await signal.fired;
        return signal.count;
    }
}

const released = new Signals();
const cancelled = new Signals();
const changes = { tools: () => {} };

function progressReporter(ctx) {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    return async (progress, total) => {
        if (progressToken === undefined) return;
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total } });
    };
}

async function hold({ key }, ctx) {
    const { signal } = ctx.mcpReq;
    signal.addEventListener('abort', () => cancelled.fire(key), { once: true });
    await progressReporter(ctx)(1, 2);
    const abort = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await Promise.race([released.once(key), abort]);
    return say(`held ${key}`);
}

function registerTools(server) {
    const tool = (name, config, handler) => server.registerTool(name, { description: name, ...config }, handler);
    tool('test_simple_text', {}, async () => say('This is a simple text response for testing.'));
    tool('test_image_content', {}, async () => ({ content: [{ type: 'image', data: PIXEL, mimeType: 'image/png' }] }));
    tool('test_error_handling', {}, async () => ({ ...say('This tool intentionally returns an error for testing'), isError: true }));
    tool('test_tool_with_progress', {}, async (ctx) => {
        const report = progressReporter(ctx);
        for (const done of [0, 50, 100]) await report(done, 100);
        return say('done');
    });
    tool('test_input_required_result_elicitation', {}, async (ctx) => {
        const answer = acceptedContent(ctx.mcpReq.inputResponses, 'user_name');
        if (answer) return say(`Hello, ${answer.name}!`);
        const ask = inputRequired.elicit({ message: 'What is your name?', requestedSchema: NAME });
        return inputRequired({ inputRequests: { user_name: ask } });
    });
    tool('test_input_required_result_sampling', {}, async (ctx) => {
        const answer = inputResponse(ctx.mcpReq.inputResponses, 'capital_question');
        if (answer.kind === 'sampling') return say(`The model said: ${answer.result.content.text}`);
        const question = { role: 'user', content: { type: 'text', text: 'What is the capital of France?' } };
        const ask = inputRequired.createMessage({ messages: [question], maxTokens: 100 });
        return inputRequired({ inputRequests: { capital_question: ask } });
    });
    tool('test_input_required_result_list_roots', {}, async (ctx) => {
        const answer = inputResponse(ctx.mcpReq.inputResponses, 'client_roots');
        if (answer.kind === 'roots') return say(`Roots: ${answer.roots.map((root) => root.uri).join(', ')}`);
        return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    });
    tool('test_logging_tool', {}, async (ctx) => {
        await ctx.mcpReq.log('info', 'the logging tool ran');
        return say('logged');
    });
    tool('test_trigger_tool_change', {}, async () => {
        changes.tools();
        return say('changed');
    });
    tool('hold', { inputSchema: KEY }, hold);
    tool('release', { inputSchema: KEY }, async ({ key }) => say(`released ${released.fire(key)}`));
    tool('cancelled', { inputSchema: KEY }, async ({ key }) => say(`cancelled ${await cancelled.once(key)}`));
}

function registerResources(server) {
    const plain = { mimeType: 'text/plain', description: 'A fixed text' };
    server.registerResource('static-text', 'test://static-text', plain, async (uri) => ({
        contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }]
    }));
    const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
    server.registerResource('template', template, { mimeType: 'application/json' }, async (uri, { id }) => ({
        contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ id, data: `Data for ID: ${id}` }) }]
    }));
}

function registerPrompts(server) {
    server.registerPrompt('test_simple_prompt', { description: 'No arguments' }, async () => ({
        messages: [{ role: 'user', content: { type: 'text', text: 'This is a simple prompt for testing.' } }]
    }));
    const argument = completable(z.string(), (value) =>
        ['paris', 'park', 'party'].filter((candidate) => candidate.startsWith(value))
    );
    const argsSchema = z.object({ arg1: argument, arg2: z.string() });
    server.registerPrompt('test_prompt_with_arguments', { argsSchema }, async ({ arg1, arg2 }) => ({
        messages: [{ role: 'user', content: { type: 'text', text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` } }]
    }));
}

function build() {
    const server = new McpServer(
        { name: 'conduit-ts-v2-server', version: '1.0.0' },
        { capabilities: { logging: {}, tools: { listChanged: true } }, instructions: 'A test fixture.' }
    );
    registerTools(server);
    registerResources(server);
    registerPrompts(server);
    return server;
}

function serveHttp(port) {
    const handler = createMcpHandler(build, { bus: new InMemoryServerEventBus(), maxRequestBodySize: 16 * 1024 * 1024, onerror: (error) => console.error(error) });
    changes.tools = () => handler.notify.toolsChanged();
    const answer = toNodeHandler(handler);
    const hostIsOurs = localhostHostValidation();
    const originIsOurs = localhostOriginValidation();
    const http = createServer((request, response) => {
        if (hostIsOurs(request, response) && originIsOurs(request, response)) answer(request, response);
    });
    http.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`));
}

const [mode, port] = process.argv.slice(2);
if (mode === '--stdio') {
    const instances = new Set();
    changes.tools = () => instances.forEach((server) => server.sendToolListChanged());
    serveStdio(() => {
        const server = build();
        instances.add(server);
        return server;
    });
} else if (mode === '--port' && /^\d+$/.test(port)) {
    serveHttp(Number(port));
} else {
    console.error('usage: ts-v2-server.mjs --stdio | --port N');
    process.exit(2);
}
