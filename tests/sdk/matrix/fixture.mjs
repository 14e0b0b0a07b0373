// The features that every fixture server of the compatibility matrix has, whichever SDK and era serves them.
//
// `handlers(world)` maps each MCP method to `(params, call) => result`, where `call` is what the SDK's adapter offers:
//   signal                       aborted when the client cancels
//   progress(progress, total)    reports if the client asked for it
//   log(level, data)             sends a log message unless the client's level is higher
//   ask(key, method, params)     asks the client, by whatever means the era has, and gives its result
//   failure(code, message, data) makes the SDK's error
//
// fixture.json has what never changes. Lists have several pages, and some entries come and go with `touch_…`.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const INFO = { name: 'conduit-fixture', version: '1.0.0' };
export const INSTRUCTIONS = 'A fixture of the compatibility matrix.';
export const CAPABILITIES = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
    completions: {},
    logging: {}
};

const FIXED = JSON.parse(readFileSync(new URL('fixture.json', import.meta.url), 'utf8'));
const [GREETING] = FIXED.contents;
const INVALID_PARAMS = -32602;
const LOGGED = ['debug', 'info', 'warning', 'error'];
const PROGRESS_STEPS = 3;
const NOTE = /^fixture:\/\/note\/([^/]+)$/;
const METHODS = { name: 'elicitation/create', capital: 'sampling/createMessage', roots: 'roots/list' };

const say = (text) => ({ content: [{ type: 'text', text }] });
const ask = (call, key) => call.ask(key, METHODS[key], FIXED.questions[key]);

async function interview(_arguments, call) {
    const { action, content } = await ask(call, 'name');
    if (action !== 'accept') return say(`interview: ${action}`);
    const answer = await ask(call, 'capital');
    const { roots } = await ask(call, 'roots');
    return say(`interview: ${content.name}, ${answer.content.text}, ${roots.map(({ uri }) => uri)}`);
}

/** Reports progress once, so that the caller knows that it runs, and then ends only by cancellation. */
const hold = (world) => async (args, call) => {
    const cancelled = new Promise((resolve) => call.signal.addEventListener('abort', resolve, { once: true }));
    await call.progress(1, 2);
    await cancelled;
    world.add('cancelled', args.key, randomUUID());
    return say('cancelled');
};

/** Goes from one step to the next only by `advance`, so that progress kept back until the result never ends it. */
const steps = (world) => async ({ key }, call) => {
    for (let step = 1; step <= PROGRESS_STEPS; step += 1) {
        await call.progress(step, PROGRESS_STEPS);
        await world.once('advance', `${key} ${step}`);
    }
    return say('done');
};

/** Adds or takes away one entry of a list, which every process of this server then says has changed. */
const touch = (world, kind) => async (args) => {
    if (args.present) world.add(kind, args.key);
    else world.remove(kind, args.key);
    return say(`${kind}: ${args.key}`);
};

/** What each tool does, by name; `(arguments, call) => result`. */
const tools = (world) => ({
    echo: async ({ message }) => say(`echo: ${message}`),
    add: async ({ a, b }) => ({ ...say(JSON.stringify({ sum: a + b })), structuredContent: { sum: a + b } }),
    fail: async () => ({ ...say('failed on purpose'), isError: true }),
    progress: steps(world),
    advance: async ({ key, step }) => {
        world.add('advance', `${key} ${step}`);
        return say('advanced');
    },
    hold: hold(world),
    cancelled_count: async ({ key }) => {
        await world.once('cancelled', key);
        return say(`${world.count('cancelled', key)}`);
    },
    log: async ({ key }, call) => {
        for (const level of LOGGED) await call.log(level, { key, level });
        return say('logged');
    },
    ask_elicitation: async (_arguments, call) => {
        const { action, content } = await ask(call, 'name');
        return say(`elicited: ${action} ${content?.name ?? ''}`.trim());
    },
    ask_sampling: async (_arguments, call) => say(`sampled: ${(await ask(call, 'capital')).content.text}`),
    ask_roots: async (_arguments, call) => say(`roots: ${(await ask(call, 'roots')).roots.map(({ uri }) => uri)}`),
    interview,
    link: async () => ({
        content: [
            { type: 'resource_link', uri: GREETING.uri, name: 'greeting', mimeType: GREETING.mimeType },
            { type: 'resource', resource: GREETING }
        ]
    }),
    region: async ({ region, city }) => say(`${city} in ${region}`),
    touch_tools: touch(world, 'tools'),
    touch_prompts: touch(world, 'prompts'),
    touch_resources: touch(world, 'resources'),
    touch_resource: async ({ uri }) => {
        world.add('updated', uri, randomUUID());
        return say(`updated: ${uri}`);
    }
});

/** The fixed entries of a list, and those that `touch` added. */
function listed(world, kind) {
    const extra = world.all(kind).map((key) => ({ name: `extra_${key}` }));
    const shapes = {
        tools: (entry) => ({ ...entry, inputSchema: { type: 'object' } }),
        prompts: (entry) => entry,
        resources: (entry) => ({ ...entry, uri: `fixture://note/${entry.name}`, mimeType: 'text/plain' })
    };
    return [...FIXED[kind], ...extra.map(shapes[kind])];
}

/** One page; the cursor is the index of the first entry. */
function page(key, entries, params, call) {
    const first = params?.cursor === undefined ? 0 : Number(params.cursor);
    if (!Number.isInteger(first) || first < 0) throw call.failure(INVALID_PARAMS, 'Not a cursor of this server');
    const end = first + FIXED.page;
    return { [key]: entries.slice(first, end), ...(end < entries.length && { nextCursor: `${end}` }) };
}

function readResource({ uri }, call) {
    const fixed = FIXED.contents.find((resource) => resource.uri === uri);
    if (fixed) return { contents: [fixed] };
    const note = NOTE.exec(uri);
    if (!note) throw call.failure(call.missingResourceCode, `Resource not found: ${uri}`, { uri });
    return { contents: [{ uri, mimeType: 'text/plain', text: `This is note ${decodeURIComponent(note[1])}.` }] };
}

function promptMessages({ name, arguments: args }, call) {
    const from = (text) => ({ messages: [{ role: 'user', content: { type: 'text', text } }] });
    if (name === 'letter') return from(`Dear ${args?.recipient}, in a ${args?.tone ?? 'plain'} tone.`);
    if (!/^(greeting|plain_\d+|extra_.+)$/.test(name)) throw call.failure(INVALID_PARAMS, `Unknown prompt: ${name}`);
    return {
        description: 'No arguments',
        messages: [
            { role: 'user', content: { type: 'text', text: 'Say hello.' } },
            { role: 'user', content: { type: 'resource', resource: GREETING } }
        ]
    };
}

function completions({ ref, argument, context }) {
    const starting = (values) => values.filter((value) => value.startsWith(argument.value));
    if (ref.type === 'ref/prompt' && ref.name === 'letter') {
        if (argument.name === 'recipient') return starting(FIXED.recipients);
        return starting([`${context?.arguments?.recipient ?? 'nobody'}-friendly`]);
    }
    if (ref.type === 'ref/resource' && ref.uri === 'fixture://note/{id}') return starting(FIXED.notes);
    return [];
}

export function handlers(world) {
    const table = tools(world);
    return {
        'tools/list': (params, call) => page('tools', listed(world, 'tools'), params, call),
        'tools/call': async (params, call) => {
            const run = table[params.name];
            if (run) return run(params.arguments ?? {}, call);
            throw call.failure(INVALID_PARAMS, `Unknown tool: ${params.name}`);
        },
        'prompts/list': (params, call) => page('prompts', listed(world, 'prompts'), params, call),
        'prompts/get': promptMessages,
        'resources/list': (params, call) => page('resources', listed(world, 'resources'), params, call),
        'resources/templates/list': (params, call) => page('resourceTemplates', FIXED.templates, params, call),
        'resources/read': readResource,
        'completion/complete': (params) => {
            const values = completions(params);
            return { completion: { values, total: values.length, hasMore: false } };
        }
    };
}

/** The schema of a tool's arguments, for servers that compare `Mcp-Param-*` headers with them. */
export function inputSchema(name) {
    return FIXED.tools.find((tool) => tool.name === name)?.inputSchema;
}

/** Tells `server` (of either TypeScript SDK) what changes; `wants(uri)` says whether it subscribed to a resource. */
export function announce(world, server, wants) {
    const send = {
        tools: () => server.sendToolListChanged(),
        prompts: () => server.sendPromptListChanged(),
        resources: () => server.sendResourceListChanged(),
        updated: (uri) => wants(uri) && server.sendResourceUpdated({ uri })
    };
    // A connection that is gone hears nothing.
    world.subscribe((kind, part) => Promise.resolve(send[kind]?.(part)).catch(() => {}));
}
