// The official TypeScript SDK v2 (`@modelcontextprotocol/client`), in either era.
// Usage: node ts-v2.mjs URL [all|scenario,…] --legacy | --fixtures | --held   (output: see harness.mjs)
//   --legacy    2025-11-25 against server-everything
//   --fixtures  2026-07-28 against a server with the conformance fixtures (--auto: negotiate, do not pin)
//   --held      2026-07-28 against ts-v2-server.mjs
//   --bearer=X  sends the credential X with every request

import { Client, specTypeSchemas, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

import { everything } from './everything.mjs';
import { Inbox, main } from './harness.mjs';
import { fixtures, held } from './modern.mjs';

const CAPABILITY_OF = { 'elicitation/create': 'elicitation', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' };
const flags = new Set(process.argv.slice(2).filter((argument) => argument.startsWith('--')));

const bearer = [...flags].find((flag) => flag.startsWith('--bearer='))?.slice('--bearer='.length);
const authProvider = bearer === undefined ? undefined : { token: async () => bearer };

function versionNegotiation() {
    if (flags.has('--legacy')) return { mode: 'legacy' };
    return { mode: flags.has('--auto') ? 'auto' : { pin: '2026-07-28' } };
}

async function connect(url, { answers = {}, capabilities = {} }) {
    const identity = { name: 'conduit-ts-v2', version: '1.0.0' };
    const client = new Client(identity, { capabilities, versionNegotiation: versionNegotiation() });
    const inbox = new Inbox();
    const requests = [];
    client.fallbackNotificationHandler = async (notification) => inbox.push(notification);
    for (const [method, capability] of Object.entries(CAPABILITY_OF)) {
        if (!(capability in capabilities)) continue;
        client.setRequestHandler(method, (request) => {
            requests.push(request);
            return answers[method](request);
        });
    }
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
    await client.connect(transport);
    return {
        client,
        inbox,
        requests,
        answers,
        anyResult: specTypeSchemas.Result,
        get sessionId() {
            return transport.sessionId;
        },
        call: (name, args, options) => client.callTool({ name, arguments: args }, options),
        errorOf: ({ code, message, data }) => ({ code, message, data }),
        terminate: () => transport.terminateSession(),
        close: () => client.close()
    };
}

if (flags.has('--legacy')) await main(everything(connect));
else if (flags.has('--fixtures')) await main(fixtures(connect));
else if (flags.has('--held')) await main(held(connect));
else {
    console.error('usage: ts-v2.mjs URL [all|scenario,…] --legacy | --fixtures [--auto] | --held');
    process.exit(2);
}
