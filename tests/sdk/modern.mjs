// What a client of the 2026-07-28 era must be able to do, against any server that has the conformance suite's
// fixtures (`fixtures`), and against ts-v2-server.mjs, whose `hold` tool shows order without a clock (`held`).

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { digest, failure, gate, text, within } from './harness.mjs';

const ANSWERS = {
    'elicitation/create': () => ({ action: 'accept', content: { name: 'Ada' } }),
    'sampling/createMessage': () => ({
        role: 'assistant',
        model: 'test-model',
        content: { type: 'text', text: 'Paris, says the model' }
    }),
    'roots/list': () => ({ roots: [{ uri: 'file:///srv/one', name: 'one' }] })
};
const ABLE = { elicitation: {}, sampling: {}, roots: {} };

async function discover(peer) {
    assert.equal(peer.client.getNegotiatedProtocolVersion(), '2026-07-28');
    const found = peer.client.getDiscoverResult();
    assert.ok(found.supportedVersions.includes('2026-07-28'));
    return {
        server: peer.client.getServerVersion(),
        capabilities: peer.client.getServerCapabilities(),
        versions: found.supportedVersions
    };
}

async function toolsList(peer) {
    const { tools } = await peer.client.listTools();
    const names = tools.map((tool) => tool.name);
    assert.ok(names.includes('test_simple_text'));
    return { names, tools: digest(tools) };
}

async function call(peer) {
    assert.equal(text(await peer.call('test_simple_text', {})), 'This is a simple text response for testing.');
    const image = await peer.call('test_image_content', {});
    assert.equal(image.content[0].mimeType, 'image/png');
    const wrong = await peer.call('test_error_handling', {});
    assert.equal(wrong.isError, true);
    return { image: digest(image), wrong };
}

async function progress(peer) {
    const events = [];
    await peer.call('test_tool_with_progress', {}, { onprogress: (event) => events.push(event.progress) });
    assert.deepEqual(events, [0, 50, 100]);
}

async function elicitation(peer) {
    assert.equal(text(await peer.call('test_input_required_result_elicitation', {})), 'Hello, Ada!');
    assert.equal(peer.requests[0].method, 'elicitation/create');
    return { asked: peer.requests[0].params.message };
}

async function sampling(peer) {
    const answer = text(await peer.call('test_input_required_result_sampling', {}));
    assert.match(answer, /Paris, says the model/);
    return { answer };
}

async function roots(peer) {
    const answer = text(await peer.call('test_input_required_result_list_roots', {}));
    assert.match(answer, /file:\/\/\/srv\/one/);
    return { answer };
}

async function resources(peer) {
    // How long a list may be taken as it is shrinks on the way, where somebody asked before.
    const { ttlMs: _left, ...list } = await peer.client.listResources();
    const { ttlMs: _leftToo, ...templates } = await peer.client.listResourceTemplates();
    const fixed = await peer.client.readResource({ uri: 'test://static-text' });
    assert.equal(fixed.contents[0].uri, 'test://static-text');
    const filled = await peer.client.readResource({ uri: 'test://template/123/data' });
    assert.match(filled.contents[0].text, /123/);
    const missing = await failure('an unknown resource', () => peer.client.readResource({ uri: 'test://nowhere' }));
    assert.equal(missing.code, -32602);
    return { list: digest(list), templates: digest(templates), fixed: fixed.contents, missing: missing.message };
}

async function prompts(peer) {
    const list = await peer.client.listPrompts();
    const simple = await peer.client.getPrompt({ name: 'test_simple_prompt' });
    assert.equal(simple.messages[0].content.text, 'This is a simple prompt for testing.');
    const filled = await peer.client.getPrompt({
        name: 'test_prompt_with_arguments',
        arguments: { arg1: 'hello', arg2: 'Łódź' }
    });
    assert.match(filled.messages[0].content.text, /arg1='hello', arg2='Łódź'/);
    return { names: list.prompts.map((prompt) => prompt.name), filled: filled.messages };
}

async function completion(peer) {
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' };
    const answer = await peer.client.complete({ ref, argument: { name: 'arg1', value: 'par' } });
    assert.ok(Array.isArray(answer.completion.values));
    return answer.completion;
}

async function listen(peer) {
    const subscription = await peer.client.listen({ toolsListChanged: true });
    assert.equal(subscription.honoredFilter.toolsListChanged, true);
    await peer.call('test_trigger_tool_change', {});
    await peer.inbox.next(
        'notifications/tools/list_changed',
        (message) => message.method === 'notifications/tools/list_changed'
    );
    await subscription.close();
    return { filter: subscription.honoredFilter };
}

async function logging(peer) {
    const _meta = { 'io.modelcontextprotocol/logLevel': 'debug' };
    await peer.client.callTool({ name: 'test_logging_tool', arguments: {}, _meta });
    const message = await peer.inbox.next('a log message', ({ method }) => method === 'notifications/message');
    return { params: Object.keys(message.params).sort() };
}

async function concurrent(peer, connect, url) {
    const other = await connect(url, { answers: ANSWERS, capabilities: ABLE });
    try {
        const ids = Array.from({ length: 20 }, (_, index) => `${index}`);
        const read = async (id) => {
            const one = Number(id) % 2 === 0 ? peer : other;
            const { contents } = await one.client.readResource({ uri: `test://template/${id}x/data` });
            return contents[0].uri;
        };
        assert.deepEqual(await Promise.all(ids.map(read)), ids.map((id) => `test://template/${id}x/data`));
    } finally {
        await other.close();
    }
}

async function errors(peer) {
    const tool = await peer.call('no_such_tool', {}).then(
        (result) => ({ result }),
        ({ code, message, data }) => ({ error: { code, message, data } })
    );
    const unknown = await failure('an unknown method', () =>
        peer.client.request({ method: 'no/such/method', params: {} }, peer.anyResult)
    );
    // HTTP 404 with the JSON-RPC error in the body, which this SDK hands out as text.
    assert.equal(unknown.data.status, 404);
    const { error } = JSON.parse(unknown.data.text);
    assert.equal(error.code, -32601);
    return { tool, error };
}

// `hold` answers only after `release`, and `release` is called only after the progress of `hold` was seen:
// were progress held back until the result, this would never end.
async function liveProgress(peer) {
    const key = randomUUID();
    const first = gate();
    const held = peer.call('hold', { key }, { onprogress: first.open });
    await within(first.opened, 'progress of a call at work');
    await peer.call('release', { key });
    assert.equal(text(await held), `held ${key}`);
}

// The server must see it: in the modern era by the closed response stream, in the legacy era by a notification.
async function cancellation(peer) {
    const key = randomUUID();
    const first = gate();
    const abort = new AbortController();
    const held = failure('an aborted call', () =>
        peer.call('hold', { key }, { onprogress: first.open, signal: abort.signal })
    );
    await within(first.opened, 'progress of a call at work');
    abort.abort('changed my mind');
    await held;
    assert.equal(text(await peer.call('cancelled', { key })), 'cancelled 1');
}

function bind(connect, table) {
    const bound = (scenario) => async (url) => {
        const peer = await connect(url, { answers: { ...ANSWERS }, capabilities: ABLE });
        try {
            return await scenario(peer, connect, url);
        } finally {
            await peer.close();
        }
    };
    return Object.fromEntries(Object.entries(table).map(([name, scenario]) => [name, bound(scenario)]));
}

/** Scenarios for any both-era server with the conformance fixtures. */
export const fixtures = (connect) =>
    bind(connect, {
        discover,
        tools_list: toolsList,
        call,
        progress,
        elicitation,
        sampling,
        roots,
        resources,
        prompts,
        completion,
        listen,
        logging,
        concurrent,
        errors
    });

/** Scenarios that need the tools `hold`, `release` and `cancelled`. */
export const held = (connect) => bind(connect, { live_progress: liveProgress, cancellation });
