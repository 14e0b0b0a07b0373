// What the legacy transport promises and an SDK hides: the GET stream, and resumption after a disconnect.
// Plain fetch, so that the bytes are ours to judge.

import assert from 'node:assert/strict';
import { within } from './harness.mjs';

const VERSION = '2025-11-25';

class Session {
    #nextId = 1;

    static async open(url) {
        const session = new Session();
        session.url = url;
        session.headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
        const params = { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
        const response = await session.post({ id: 'init', method: 'initialize', params });
        assert.equal(response.status, 200);
        await response.text();
        session.headers['mcp-session-id'] = response.headers.get('mcp-session-id');
        session.headers['mcp-protocol-version'] = VERSION;
        const initialized = await session.post({ method: 'notifications/initialized' });
        assert.equal(initialized.status, 202);
        assert.equal(await initialized.text(), '');
        return session;
    }

    post(message, options = {}) {
        const body = JSON.stringify({ jsonrpc: '2.0', ...message });
        return fetch(this.url, { method: 'POST', headers: this.headers, body, ...options });
    }

    call(name, args, meta, options) {
        const params = { name, arguments: args, _meta: meta };
        return this.post({ id: this.#nextId++, method: 'tools/call', params }, options);
    }

    get(headers = {}, options = {}) {
        return fetch(this.url, { headers: { ...this.headers, accept: 'text/event-stream', ...headers }, ...options });
    }

    async close() {
        const response = await fetch(this.url, { method: 'DELETE', headers: this.headers });
        await response.body?.cancel();
        return response.status;
    }
}

/** Yields {id, data} for each server-sent event; comments and unknown fields are ignored. */
async function* events(response) {
    let pending = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
        pending += decoder.decode(chunk, { stream: true });
        const blocks = pending.split(/\r?\n\r?\n/);
        pending = blocks.pop();
        for (const block of blocks) {
            const fields = block.split(/\r?\n/).map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
            const data = fields.filter(([, name]) => name === 'data').map(([, , value]) => value).join('\n');
            const id = fields.find(([, name]) => name === 'id')?.[2];
            if (id !== undefined || data !== '') yield { id, data: data === '' ? null : JSON.parse(data) };
        }
    }
}

async function firstEvent(response, matches) {
    for await (const event of events(response)) {
        if (event.data && matches(event.data)) return event;
    }
    throw new Error('the stream ended without the event');
}

function assertEventStream(response) {
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
}

async function getStream(url) {
    const session = await Session.open(url);
    const stream = await session.get();
    assertEventStream(stream);
    const second = await session.get();
    const secondStatus = second.status;
    await second.body?.cancel();
    const level = await session.post({ id: 'level', method: 'logging/setLevel', params: { level: 'debug' } });
    await level.text();
    const toggled = await session.call('toggle-simulated-logging', {});
    await toggled.text();
    const event = await within(
        firstEvent(stream, (message) => message.method === 'notifications/message'),
        'a log message on the GET stream'
    );
    const ended = await session.close();
    assert.ok(ended >= 200 && ended < 300, `DELETE got ${ended}`);
    return { method: event.data.method, secondStatus };
}

// In the legacy era a broken connection is not a cancellation: the call goes on, and the rest of its stream,
// the result included, can be had from the last event on.
async function resume(url) {
    const session = await Session.open(url);
    const abort = new AbortController();
    const args = { duration: 1, steps: 4 };
    const call = await session.call('trigger-long-running-operation', args, { progressToken: 'p' }, { signal: abort.signal });
    assertEventStream(call);
    const first = await within(firstEvent(call, (message) => message.method === 'notifications/progress'), 'progress');
    assert.equal(first.data.params.progressToken, 'p');
    abort.abort();
    const deadline = AbortSignal.timeout(15_000);
    const received = [first.data];
    let last = first.id;
    while (!received.at(-1).result) {
        deadline.throwIfAborted();
        last = await replay(session, last, received);
    }
    await session.close();
    const progress = received.slice(0, -1).map((message) => message.params.progress);
    assert.deepEqual(progress, [1, 2, 3, 4]);
    return { text: received.at(-1).result.content[0].text };
}

// server-everything replays what it has stored and then leaves the stream open but silent, so ask again soon.
async function replay(session, last, received) {
    const patience = AbortSignal.timeout(500);
    try {
        const stream = await session.get({ 'last-event-id': last }, { signal: patience });
        assertEventStream(stream);
        for await (const { id, data } of events(stream)) {
            if (id) last = id;
            if (data) received.push(data);
            if (data?.result) return last;
        }
    } catch (error) {
        if (!patience.aborted) throw error;
    }
    return last;
}

export const streams = { get_stream: getStream, resume };
