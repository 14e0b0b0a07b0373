// What a client must be able to do with a fixture server, whatever SDK it is built on, and how a client program runs.
//
// Usage of every client program of the matrix: <program> MODE [TARGET…]   (without any, targets are lines on stdin)
//   TARGET  URL          one server's endpoint: bare names and URIs
//           URL#SERVER   the aggregated endpoint: that server's names are SERVER.name, its URIs SERVER+uri
// For each target and feature it prints one JSON line:
//   {"target","feature","ok":true,"detail"}  or  {…,"ok":false,"detail":"why"}  or  {…,"ok":true,"skipped":"why"}
// and after the last feature of a target {"target","done":true}.
// Exit code: 0 all passed or skipped, 1 some failed, 2 wrong usage.
//
// Invariant: `detail` is the same on every run and has bare names, so that runs can be compared.
// Invariant: nothing waits without a deadline, and nothing sleeps.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';

import { digest, gate, Inbox, text, within } from '../harness.mjs';

const FEATURE_DEADLINE_MS = 12_000;
const CONNECT_DEADLINE_MS = 15_000;
const TARGET_DEADLINE_MS = 50_000;
const CLOSE_DEADLINE_MS = 5000;
const PAGES_MAX = 100;
const GREETING = 'fixture://static/greeting';
const NOTE = 'fixture://note/{id}';
const NOT_FOUND = { legacy: [-32002, -32602], modern: [-32602] };

export const ABLE = { elicitation: { form: {} }, sampling: {}, roots: {} };
export const CAPABILITY_OF = {
    'elicitation/create': 'elicitation',
    'sampling/createMessage': 'sampling',
    'roots/list': 'roots'
};

/** What the client answers to a server that asks. */
export function answers() {
    return {
        'elicitation/create': () => ({ action: 'accept', content: { name: 'Ada' } }),
        'sampling/createMessage': () => ({
            role: 'assistant',
            model: 'test-model',
            content: { type: 'text', text: 'Paris, says the model' }
        }),
        'roots/list': () => ({ roots: [{ uri: 'file:///srv/one', name: 'one' }] })
    };
}

/** Thrown by a feature that this SDK, mode or era does not have. */
export class Skipped extends Error {}

/** How the names of one server look at an endpoint. */
class Naming {
    constructor(server) {
        this.namePrefix = server ? `${server}.` : '';
        this.uriPrefix = server ? `${server}+` : '';
    }

    name = (bare) => this.namePrefix + bare;
    uri = (bare) => this.uriPrefix + bare;
    ownName = (name) => (name.startsWith(this.namePrefix) ? name.slice(this.namePrefix.length) : undefined);
    ownUri = (uri) => (uri.startsWith(this.uriPrefix) ? uri.slice(this.uriPrefix.length) : undefined);
}

// === Lists ===

/** All pages of a list; `list` takes `{cursor}` and answers one page. */
async function everyPage(list, key) {
    const entries = [];
    let cursor;
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
        const result = await list(cursor === undefined ? {} : { cursor });
        entries.push(...result[key]);
        cursor = result.nextCursor;
        if (cursor === undefined) return entries;
    }
    throw new Error(`${key}: more than ${PAGES_MAX} pages`);
}

/** The entries of the server under test by their bare names, without those that come and go. */
function own(entries, bare) {
    const named = entries.map((entry) => [bare(entry), entry]).filter(([name]) => name !== undefined);
    const names = named.map(([name]) => name);
    assert.equal(new Set(names).size, names.length, `listed twice: ${names}`);
    return named.filter(([name]) => !/extra_/.test(name)).sort(([one], [two]) => (one < two ? -1 : 1));
}

const toolsOf = (peer) => everyPage((params) => peer.client.listTools(params), 'tools');
const promptsOf = (peer) => everyPage((params) => peer.client.listPrompts(params), 'prompts');
const resourcesOf = (peer) => everyPage((params) => peer.client.listResources(params), 'resources');

async function toolsList(peer) {
    const tools = own(await toolsOf(peer), ({ name }) => peer.ownName(name));
    assert.equal(tools.length, 18, `tools: ${tools.map(([name]) => name)}`);
    const shapes = tools.map(([name, { description, inputSchema, outputSchema }]) => [
        name,
        description,
        inputSchema.properties,
        outputSchema?.properties
    ]);
    return { names: tools.map(([name]) => name), tools: digest(shapes) };
}

async function promptsList(peer) {
    const prompts = own(await promptsOf(peer), ({ name }) => peer.ownName(name));
    assert.equal(prompts.length, 10, `prompts: ${prompts.map(([name]) => name)}`);
    return prompts.map(([name, prompt]) => [name, prompt.arguments?.length ?? 0]);
}

async function resourcesList(peer) {
    const resources = own(await resourcesOf(peer), ({ uri }) => peer.ownUri(uri));
    assert.equal(resources.length, 10, `resources: ${resources.map(([uri]) => uri)}`);
    return resources.map(([uri, { mimeType }]) => [uri, mimeType]);
}

async function templatesList(peer) {
    const templates = await everyPage((params) => peer.client.listResourceTemplates(params), 'resourceTemplates');
    const names = own(templates, ({ uriTemplate }) => peer.ownUri(uriTemplate)).map(([name]) => name);
    assert.deepEqual(names, [NOTE, 'fixture://shelf/{shelf}/{+path}']);
}

// === Calls ===

async function toolsCall(peer) {
    const message = 'grüße 漢字 😀 \u2028 "quoted" \\ back';
    assert.equal(text(await peer.call('echo', { message })), `echo: ${message}`);
    const { structuredContent } = await peer.call('add', { a: 2, b: 40 });
    assert.deepEqual(structuredContent, { sum: 42 });
}

async function toolError(peer) {
    const result = await peer.call('fail', {});
    assert.equal(result.isError, true);
    assert.equal(text(result), 'failed on purpose');
}

async function unknownTool(peer) {
    const outcome = await peer.call('no_such_tool', {}).then(
        ({ isError }) => (isError ? 'isError' : 'a result'),
        ({ code }) => code
    );
    assert.ok([-32602, 'isError'].includes(outcome), `answered ${outcome}`);
}

/** The region travels in a header, too, in the modern era over HTTP. */
async function paramHeader(peer) {
    await toolsOf(peer);
    assert.equal(text(await peer.call('region', { region: 'Łódź', city: 'one' })), 'one in Łódź');
    assert.equal(text(await peer.call('region', { region: 'eu west', city: 'two' })), 'two in eu west');
}

async function promptsGet(peer) {
    const plain = await peer.client.getPrompt({ name: peer.name('greeting') });
    assert.equal(plain.messages[0].content.text, 'Say hello.');
    assert.equal(plain.messages[1].content.resource.uri, peer.uri(GREETING), 'the URI of an embedded resource');
    const args = { recipient: 'Łódź', tone: 'kind' };
    const filled = await peer.client.getPrompt({ name: peer.name('letter'), arguments: args });
    assert.equal(filled.messages[0].content.text, 'Dear Łódź, in a kind tone.');
}

async function resourcesRead(peer) {
    const { contents } = await peer.client.readResource({ uri: peer.uri(GREETING) });
    assert.equal(contents[0].text, 'Grüße aus dem Fixture');
    assert.equal(contents[0].uri, peer.uri(GREETING));
    const pixel = await peer.client.readResource({ uri: peer.uri('fixture://static/pixel') });
    return { pixel: digest(pixel.contents[0].blob) };
}

async function resourceMissing(peer) {
    const uri = peer.uri('fixture://nowhere');
    const outcome = await peer.client.readResource({ uri }).then(
        () => 'a result',
        ({ code }) => code
    );
    assert.ok(NOT_FOUND[peer.era].includes(outcome), `answered ${outcome}`);
}

async function templateRead(peer) {
    const uri = peer.uri(NOTE.replace('{id}', 'only%20one'));
    const { contents } = await peer.client.readResource({ uri });
    assert.equal(contents[0].text, 'This is note only one.');
    assert.equal(contents[0].uri, uri);
}

async function completionOfPrompt(peer) {
    const ref = { type: 'ref/prompt', name: peer.name('letter') };
    const first = await peer.client.complete({ ref, argument: { name: 'recipient', value: 'ad' } });
    assert.deepEqual(first.completion.values, ['ada', 'adam']);
    const context = { arguments: { recipient: 'ada' } };
    const second = await peer.client.complete({ ref, argument: { name: 'tone', value: '' }, context });
    assert.deepEqual(second.completion.values, ['ada-friendly']);
}

async function completionOfTemplate(peer) {
    const ref = { type: 'ref/resource', uri: peer.uri(NOTE) };
    const { completion } = await peer.client.complete({ ref, argument: { name: 'id', value: 'on' } });
    assert.deepEqual(completion.values, ['one', 'only']);
}

async function resourceLinks(peer) {
    const { content } = await peer.call('link', {});
    const [link, embedded] = content;
    assert.equal(link.type, 'resource_link');
    assert.equal(embedded.resource.uri, link.uri, 'two names for one resource');
    const { contents } = await peer.client.readResource({ uri: link.uri });
    assert.equal(contents[0].text, embedded.resource.text);
}

// === What happens during a call ===

// The tool takes its next step only once the client saw the last one and called `advance`.
async function progress(peer) {
    const key = randomUUID();
    const events = [];
    const advances = [];
    const onprogress = ({ progress: step, total }) => {
        events.push(`${step} of ${total}`);
        advances.push(peer.call('advance', { key, step }));
    };
    await peer.call('progress', { key }, { onprogress });
    await Promise.all(advances);
    assert.deepEqual(events, ['1 of 3', '2 of 3', '3 of 3']);
}

// `hold` ends only when its server hears of the cancellation; it reports progress once it runs.
async function cancellation(peer) {
    const key = randomUUID();
    const started = gate();
    const abort = new AbortController();
    const held = peer.call('hold', { key }, { onprogress: started.open, signal: abort.signal }).then(
        () => 'a result',
        () => 'an error'
    );
    await within(started.opened, 'progress of a call at work', FEATURE_DEADLINE_MS);
    abort.abort('changed my mind');
    assert.equal(await held, 'an error');
    assert.equal(text(await peer.call('cancelled_count', { key })), '1', 'cancellations that the server saw');
}

async function logging(peer) {
    const levelsAt = async (level, last) => {
        const key = randomUUID();
        const isOurs = ({ method, params }) => method === 'notifications/message' && params.data?.key === key;
        await peer.callLogging(level, 'log', { key });
        await peer.inbox.next(`the ${last} message`, (message) => isOurs(message) && message.params.level === last);
        return peer.inbox.messages.filter(isOurs).map(({ params }) => params.level);
    };
    assert.deepEqual(await levelsAt('warning', 'error'), ['warning', 'error']);
    assert.deepEqual(await levelsAt('debug', 'error'), ['debug', 'info', 'warning', 'error']);
}

// === What the server asks ===

async function elicitation(peer) {
    assert.equal(text(await peer.call('ask_elicitation', {})), 'elicited: accept Ada');
    assert.equal(peer.asked.at(-1).params.message, 'What is your name?');
    peer.answers['elicitation/create'] = () => ({ action: 'decline' });
    try {
        assert.equal(text(await peer.call('ask_elicitation', {})), 'elicited: decline');
    } finally {
        peer.answers = answers();
    }
}

async function sampling(peer) {
    assert.equal(text(await peer.call('ask_sampling', {})), 'sampled: Paris, says the model');
    assert.equal(peer.asked.at(-1).params.maxTokens, 100);
}

async function roots(peer) {
    assert.equal(text(await peer.call('ask_roots', {})), 'roots: file:///srv/one');
}

/** Three questions in one call. */
async function rounds(peer) {
    assert.equal(text(await peer.call('interview', {})), 'interview: Ada, Paris, says the model, file:///srv/one');
}

// === Changes ===

async function resourceUpdated(peer) {
    const bare = `fixture://note/${randomUUID()}`;
    const subscription = await peer.subscribe(peer.uri(bare));
    const update = peer.inbox.next(
        `resources/updated of ${peer.uri(bare)}`,
        ({ method, params }) => method === 'notifications/resources/updated' && params.uri === peer.uri(bare)
    );
    await Promise.all([peer.call('touch_resource', { uri: bare }), update]);
    await subscription.close();
}

/** A change is announced, and the list read after the announcement has it. */
const listChanged = (kind, list, bare) => async (peer) => {
    const key = randomUUID();
    const method = `notifications/${kind}/list_changed`;
    const watch = await peer.watch(kind);
    const has = async () => (await list(peer)).some((entry) => bare(peer, entry)?.endsWith(`extra_${key}`));
    const announcedAndListed = async () => {
        // Somebody else's change may come first.
        for (let seen = peer.inbox.count(method); ; ) {
            seen = await peer.inbox.more(`${method}`, method, seen);
            if (await has()) return;
        }
    };
    try {
        const announced = announcedAndListed();
        // Either may fail first.
        await Promise.all([announced, peer.call(`touch_${kind}`, { key, present: true })]);
    } finally {
        await peer.call(`touch_${kind}`, { key, present: false }).catch(() => {});
        await watch.close();
    }
};

async function ping(peer) {
    if (peer.era === 'modern') throw new Skipped('2026-07-28 has no ping');
    await peer.client.ping();
}

const FEATURES = {
    tools_list: toolsList,
    tools_call: toolsCall,
    tool_error: toolError,
    unknown_tool: unknownTool,
    param_header: paramHeader,
    prompts_list: promptsList,
    prompts_get: promptsGet,
    resources_list: resourcesList,
    resources_read: resourcesRead,
    resource_missing: resourceMissing,
    templates_list: templatesList,
    template_read: templateRead,
    completion_prompt: completionOfPrompt,
    completion_template: completionOfTemplate,
    resource_links: resourceLinks,
    progress,
    cancellation,
    logging,
    elicitation,
    sampling,
    roots,
    rounds,
    resource_updated: resourceUpdated,
    tools_changed: listChanged('tools', toolsOf, (peer, { name }) => peer.ownName(name)),
    prompts_changed: listChanged('prompts', promptsOf, (peer, { name }) => peer.ownName(name)),
    resources_changed: listChanged('resources', resourcesOf, (peer, { uri }) => peer.ownUri(uri)),
    ping
};

// === Running ===

/** What arrived unasked, which can also be counted by method. */
export class Arrivals extends Inbox {
    count(method) {
        return this.messages.filter((message) => message.method === method).length;
    }

    /** Waits until more than `seen` messages of a method arrived; how many did. */
    async more(what, method, seen) {
        // `next` looks at each message once, so that the count is up to date when it asks.
        if (this.count(method) <= seen) await this.next(what, () => this.count(method) > seen);
        return this.count(method);
    }
}

/** The error, and the line of this file at which it left the feature. */
function described(error) {
    const where = String(error?.stack).match(/features\.mjs:\d+/)?.[0];
    return `${String(error).slice(0, 600)}${where ? ` (${where})` : ''}`;
}

async function attempt(run) {
    try {
        return { ok: true, detail: (await within(run(), 'the feature', FEATURE_DEADLINE_MS)) ?? null };
    } catch (error) {
        if (error instanceof Skipped) return { ok: true, skipped: error.message };
        return { ok: false, detail: described(error) };
    }
}

async function runTarget(connect, target, report) {
    const [url, server] = target.split('#');
    let peer;
    const connected = await attempt(async () => {
        const naming = new Naming(server);
        const connection = await within(connect(url), 'the connection', CONNECT_DEADLINE_MS);
        peer = Object.assign(connection, naming, { call: (name, ...rest) => connection.callTool(naming.name(name), ...rest) });
        return { version: peer.version };
    });
    report({ target, feature: 'connect', ...connected });
    const end = performance.now() + TARGET_DEADLINE_MS;
    for (const [feature, run] of Object.entries(FEATURES)) {
        let verdict = { ok: false, detail: 'not connected' };
        if (peer && performance.now() > end) verdict.detail = `not run: ${TARGET_DEADLINE_MS} ms for this target are over`;
        else if (peer) verdict = await attempt(() => run(peer));
        report({ target, feature, ...verdict });
    }
    const closed = peer?.close() ?? Promise.resolve();
    await within(closed, 'the end of the connection', CLOSE_DEADLINE_MS).catch(() => {});
}

/** Runs all features against each target; `connects` has a connect function for each mode. Never returns. */
export async function main(connects) {
    const [mode, ...targets] = process.argv.slice(2);
    if (!(mode in connects)) {
        console.error(`usage: <program> ${Object.keys(connects).join('|')} [URL[#SERVER]…]`);
        process.exit(2);
    }
    let failed = 0;
    for await (const target of targets.length > 0 ? targets : createInterface(process.stdin)) {
        await runTarget(connects[mode], target, (verdict) => {
            if (!verdict.ok) failed += 1;
            console.log(JSON.stringify(verdict));
        });
        console.log(JSON.stringify({ target, done: true }));
    }
    process.exit(failed === 0 ? 0 : 1);
}
