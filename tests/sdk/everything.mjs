// What a client must be able to do with the reference server "everything" (npm, legacy era), written once for
// every TypeScript SDK. A program brings `connect(url, {answers, capabilities})`, which returns a peer:
//   client            the SDK's own client
//   call(name, arguments, {onprogress, signal})   a tool call
//   inbox             notifications that have no handler of their own
//   requests          what the server asked us, in order
//   terminate()       DELETE of the session       sessionId
//   errorOf(error)    {code, message, data} of a JSON-RPC error of this SDK
//   close()
// The expected values are those of server-everything 2026.8.31.

import assert from 'node:assert/strict';
import { digest, failure, gate, text, within } from './harness.mjs';

const TEXT = 'demo://resource/dynamic/text/7';
const BLOB = 'demo://resource/dynamic/blob/8';
const UNICODE = 'grüße 漢字 😀 \u2028 "quoted" \\ back, \u0007 bell';

const CAPABILITIES = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    logging: {},
    completions: {},
    tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } }
};

const ROOTS = { roots: [{ uri: 'file:///srv/one', name: 'one' }] };

/** Calls `use` with a fresh connection and always closes it. */
async function withPeer(connect, url, options, use) {
    const peer = await connect(url, options);
    try {
        return await use(peer);
    } finally {
        await peer.close();
    }
}

async function initialize(peer) {
    const server = peer.client.getServerVersion();
    assert.equal(server.name, 'mcp-servers/everything');
    assert.equal(server.version, '2.0.0');
    assert.deepEqual(peer.client.getServerCapabilities(), CAPABILITIES);
    assert.ok(peer.client.getInstructions().length > 100, 'instructions are missing');
    return { server, instructions: digest(peer.client.getInstructions()) };
}

async function toolsList(peer) {
    const tools = [];
    let cursor;
    do {
        const page = await peer.client.listTools(cursor === undefined ? {} : { cursor });
        tools.push(...page.tools);
        cursor = page.nextCursor;
    } while (cursor !== undefined);
    const names = tools.map((tool) => tool.name);
    assert.equal(new Set(names).size, names.length, 'a tool is listed twice');
    for (const name of ['echo', 'get-sum', 'get-structured-content', 'trigger-long-running-operation']) {
        assert.ok(names.includes(name), `${name} is not listed`);
    }
    // Key order included: a schema must arrive as it was written.
    return { names, tools: digest(tools) };
}

async function echo(peer) {
    for (const message of ['plain', '', UNICODE, 'x'.repeat(200_000)]) {
        const result = await peer.call('echo', { message });
        assert.equal(text(result), `Echo: ${message}`);
    }
    const sum = await peer.call('get-sum', { a: 0.1, b: 9007199254740991 });
    return { sum: text(sum) };
}

async function structuredContent(peer) {
    const result = await peer.call('get-structured-content', { location: 'Chicago' });
    const weather = { temperature: 36, conditions: 'Light rain / drizzle', humidity: 82 };
    assert.deepEqual(result.structuredContent, weather);
    return result;
}

async function contentKinds(peer) {
    const image = await peer.call('get-tiny-image', {});
    const picture = image.content.find((block) => block.type === 'image');
    assert.equal(picture.mimeType, 'image/png');
    const links = await peer.call('get-resource-links', { count: 3 });
    assert.equal(links.content.filter((block) => block.type === 'resource_link').length, 3);
    const annotated = await peer.call('get-annotated-message', { messageType: 'error', includeImage: true });
    assert.equal(annotated.content[0].annotations.priority, 1);
    return { image: digest(image), annotated: digest(annotated) };
}

// The first event opens the gate; a second call then runs to its end while the first is still at work. Were
// the events held back until the result, the first call would be over by then.
async function progress(peer) {
    const first = gate();
    const events = [];
    let over = false;
    const operation = peer
        .call('trigger-long-running-operation', { duration: 2, steps: 4 }, {
            onprogress: (event) => {
                events.push(event.progress);
                first.open();
            }
        })
        .finally(() => (over = true));
    await within(first.opened, 'the first progress event');
    await peer.call('echo', { message: 'meanwhile' });
    assert.equal(over, false, 'progress arrived only with the result');
    const result = await operation;
    assert.deepEqual(events, [1, 2, 3, 4]);
    return { text: text(result) };
}

async function elicitation(peer) {
    const accepted = await peer.call('trigger-elicitation-request', {});
    const asked = peer.requests.find((request) => request.method === 'elicitation/create');
    assert.equal(asked.params.requestedSchema.required[0], 'name');
    assert.match(JSON.stringify(accepted), /Ada Lovelace/);
    peer.answers['elicitation/create'] = () => ({ action: 'decline' });
    const declined = await peer.call('trigger-elicitation-request', {});
    assert.match(text(declined), /declined/);
    return { asked: digest(asked.params), accepted, declined };
}

async function sampling(peer) {
    const result = await peer.call('trigger-sampling-request', { prompt: UNICODE, maxTokens: 17 });
    const asked = peer.requests.find((request) => request.method === 'sampling/createMessage');
    assert.equal(asked.params.maxTokens, 17);
    assert.match(asked.params.messages[0].content.text, /grüße 漢字 😀/);
    assert.match(text(result), /the model says hi/);
    return { text: text(result) };
}

// The server asks for the roots on the GET stream and says in the log what it got. It asks 350 ms after the
// handshake and never again, whether the GET stream is open yet or not, so wait for that before calling.
const rootsUpdated = (peer, count) =>
    peer.inbox.next(`the log line "Roots updated: ${count}"`, (message) =>
        JSON.stringify(message).includes(`Roots updated: ${count} root`)
    );

async function roots(peer) {
    await rootsUpdated(peer, 1);
    const before = await peer.call('get-roots-list', {});
    assert.match(text(before), /file:\/\/\/srv\/one/);
    peer.answers['roots/list'] = () => ({ roots: [...ROOTS.roots, { uri: 'file:///srv/two', name: 'two' }] });
    await peer.client.sendRootsListChanged();
    await rootsUpdated(peer, 2);
    const after = await peer.call('get-roots-list', {});
    assert.match(text(after), /file:\/\/\/srv\/two/);
    return { before: text(before), after: text(after) };
}

async function resources(peer) {
    const list = await peer.client.listResources();
    const { resourceTemplates: templates } = await peer.client.listResourceTemplates();
    assert.equal(templates.length, 2);
    const asText = await peer.client.readResource({ uri: TEXT });
    assert.match(asText.contents[0].text, /^Resource 7: This is a plaintext resource/);
    const asBlob = await peer.client.readResource({ uri: BLOB });
    const bytes = Buffer.from(asBlob.contents[0].blob, 'base64').toString();
    assert.match(bytes, /^Resource 8: This is a base64 blob/);
    const missing = await failure('an unknown resource', () => peer.client.readResource({ uri: 'demo://nowhere' }));
    return { list, templates, missing: peer.errorOf(missing) };
}

async function subscribe(peer) {
    await peer.client.subscribeResource({ uri: TEXT });
    await peer.call('toggle-subscriber-updates', {});
    const update = await peer.inbox.next(
        'notifications/resources/updated',
        (message) => message.method === 'notifications/resources/updated'
    );
    assert.equal(update.params.uri, TEXT);
    await peer.client.unsubscribeResource({ uri: TEXT });
    await peer.call('toggle-subscriber-updates', {});
    return update;
}

async function prompts(peer) {
    const list = await peer.client.listPrompts();
    const simple = await peer.client.getPrompt({ name: 'simple-prompt' });
    const filled = await peer.client.getPrompt({ name: 'args-prompt', arguments: { city: 'Łódź', state: 'PL' } });
    assert.equal(filled.messages[0].content.text, "What's weather in Łódź, PL?");
    const wrong = await failure('a prompt without its argument', () => peer.client.getPrompt({ name: 'args-prompt' }));
    return { names: list.prompts.map((prompt) => prompt.name), simple, wrong: peer.errorOf(wrong).code };
}

async function completion(peer) {
    const ref = { type: 'ref/prompt', name: 'completable-prompt' };
    const first = await peer.client.complete({ ref, argument: { name: 'department', value: 'S' } });
    assert.deepEqual(first.completion.values, ['Sales', 'Support']);
    const second = await peer.client.complete({
        ref,
        argument: { name: 'name', value: 'E' },
        context: { arguments: { department: 'Sales' } }
    });
    assert.deepEqual(second.completion.values, ['Eve']);
    const template = { type: 'ref/resource', uri: 'demo://resource/dynamic/text/{resourceId}' };
    const third = await peer.client.complete({ ref: template, argument: { name: 'resourceId', value: '12' } });
    return { template: third.completion.values };
}

async function logging(peer) {
    await peer.client.setLoggingLevel('debug');
    await peer.call('toggle-simulated-logging', {});
    const message = await peer.inbox.next(
        'a simulated log message',
        (candidate) => candidate.method === 'notifications/message' && /level.message/.test(candidate.params.data)
    );
    await peer.call('toggle-simulated-logging', {});
    const wrong = await failure('an unknown level', () =>
        peer.client.request({ method: 'logging/setLevel', params: { level: 'loud' } }, peer.anyResult)
    );
    return { params: Object.keys(message.params).sort(), wrong: peer.errorOf(wrong).code };
}

async function cancellation(peer) {
    const first = gate();
    const abort = new AbortController();
    const operation = peer.call('trigger-long-running-operation', { duration: 60, steps: 200 }, {
        onprogress: first.open,
        signal: abort.signal
    });
    const verdict = failure('an aborted call', () => operation);
    await within(first.opened, 'the first progress event');
    abort.abort('changed my mind');
    const error = await verdict;
    assert.match(String(error), /changed my mind|abort/i);
    assert.equal(text(await peer.call('echo', { message: 'still here' })), 'Echo: still here');
}

async function ping(peer) {
    assert.deepEqual(await peer.client.ping(), {});
}

async function concurrent(peer, connect, url) {
    const other = await connect(url, {});
    try {
        const calls = [peer, other].flatMap((one, who) =>
            Array.from({ length: 20 }, (_, index) => one.call('echo', { message: `${who}/${index}` }))
        );
        const answers = (await Promise.all(calls)).map(text);
        const expected = [0, 1].flatMap((who) => Array.from({ length: 20 }, (_, index) => `Echo: ${who}/${index}`));
        assert.deepEqual(answers, expected);
    } finally {
        await other.close();
    }
}

async function errors(peer) {
    const tool = await peer.call('no-such-tool', {}).then(
        (result) => ({ result }),
        (error) => ({ error: peer.errorOf(error) })
    );
    assert.match(JSON.stringify(tool), /no-such-tool/);
    const argument = await peer.call('get-sum', { a: 'one' }).then(
        (result) => ({ result: digest(result) }),
        (error) => ({ error: peer.errorOf(error) })
    );
    const method = await failure('an unknown method', () =>
        peer.client.request({ method: 'no/such/method', params: {} }, peer.anyResult)
    );
    assert.equal(peer.errorOf(method).code, -32601);
    return { tool, argument, method: peer.errorOf(method) };
}

// -32042 carries its elicitations in error.data, which a proxy must not drop.
async function errorData(peer) {
    const error = peer.errorOf(
        await failure('a URL elicitation', () =>
            peer.call('trigger-url-elicitation', { url: 'https://example.com/consent', errorPath: true })
        )
    );
    assert.equal(error.code, -32042);
    const [{ url, mode }] = error.data.elicitations;
    return { code: error.code, message: error.message, url, mode };
}

async function sessionEnd(peer, _connect, url) {
    const session = peer.sessionId;
    assert.match(session, /^[\x21-\x7e]+$/);
    await peer.terminate();
    const after = await fetch(url, {
        method: 'POST',
        headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            'mcp-protocol-version': '2025-11-25',
            'mcp-session-id': session
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
    });
    // The server itself answers 400 where the protocol says 404; ours is to pass on what it said.
    assert.ok([400, 404].includes(after.status), `a call in an ended session got ${after.status}`);
    const body = await after.json();
    assert.ok(body.error, 'no JSON-RPC error');
    return { status: after.status };
}

/** All scenarios, by name, bound to one SDK's `connect`. */
export function everything(connect) {
    const answers = {
        'elicitation/create': () => ({ action: 'accept', content: { name: 'Ada Lovelace', check: true, integer: 42 } }),
        'sampling/createMessage': () => ({
            role: 'assistant',
            model: 'test-model',
            stopReason: 'endTurn',
            content: { type: 'text', text: 'the model says hi' }
        }),
        'roots/list': () => ROOTS
    };
    const plain = {};
    const elicits = { answers, capabilities: { elicitation: {} } };
    const samples = { answers, capabilities: { sampling: {} } };
    const rooted = { answers, capabilities: { roots: { listChanged: true } } };
    const opensUrls = { answers, capabilities: { elicitation: { form: {}, url: {} } } };
    const table = {
        initialize: [initialize, plain],
        tools_list: [toolsList, plain],
        echo: [echo, plain],
        structured_content: [structuredContent, plain],
        content_kinds: [contentKinds, plain],
        progress: [progress, plain],
        elicitation: [elicitation, elicits],
        sampling: [sampling, samples],
        roots: [roots, rooted],
        resources: [resources, plain],
        subscribe: [subscribe, plain],
        prompts: [prompts, plain],
        completion: [completion, plain],
        logging: [logging, plain],
        cancellation: [cancellation, plain],
        ping: [ping, plain],
        concurrent: [concurrent, plain],
        errors: [errors, plain],
        error_data: [errorData, opensUrls],
        session_end: [sessionEnd, plain]
    };
    return Object.fromEntries(
        Object.entries(table).map(([name, [scenario, options]]) => [
            name,
            (url) =>
                withPeer(connect, url, { ...options, answers: { ...options.answers } }, (peer) =>
                    scenario(peer, connect, url)
                )
        ])
    );
}
