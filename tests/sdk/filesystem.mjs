// What a client must be able to do with the reference server "filesystem" (npm, legacy era, stdio): real files
// go in and come out through the gateway, and the client's roots decide where.

import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { text } from './harness.mjs';

const LONG_LINE = `${'0123456789 grüße 漢字 😀 '.repeat(60_000)}\n`;

const allowed = async (peer) => text(await peer.call('list_allowed_directories', {})).split('\n').slice(1);

async function files(connect, url) {
    const peer = await connect(url, {});
    try {
        const [folder] = await allowed(peer);
        const path = `${folder}/grüße 漢字.txt`;
        await peer.call('write_file', { path, content: LONG_LINE });
        assert.equal(text(await peer.call('read_text_file', { path })), LONG_LINE);
        const listed = text(await peer.call('list_directory', { path: folder }));
        assert.match(listed, /grüße 漢字\.txt/);
        const outside = await peer.call('read_text_file', { path: '/etc/passwd' });
        assert.equal(outside.isError, true);
    } finally {
        await peer.close();
    }
}

// The server asks for the roots by itself after the handshake; until then the folder of its command line holds.
async function roots(connect, url) {
    const plain = await connect(url, {});
    const [folder] = await allowed(plain);
    const path = `${folder}/only this`;
    await plain.call('create_directory', { path });
    await plain.close();
    const answers = { 'roots/list': () => ({ roots: [{ uri: pathToFileURL(path).href, name: 'only this' }] }) };
    const peer = await connect(url, { answers, capabilities: { roots: {} } });
    try {
        while ((await allowed(peer))[0] !== path); // the scenario's deadline ends this if the answer never arrives
        const outside = await peer.call('list_directory', { path: folder });
        assert.equal(outside.isError, true);
    } finally {
        await peer.close();
    }
}

export const filesystem = (connect) => ({
    files: (url) => files(connect, url),
    roots: (url) => roots(connect, url)
});
