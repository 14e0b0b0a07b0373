// The official TypeScript SDK v1 (`@modelcontextprotocol/sdk`), legacy era, against server-everything.
// Usage: node ts-v1.mjs URL [all|scenario,…] [--streams | --held | --filesystem]   (output: see harness.mjs)
//   --streams  the transport's own promises instead (streams.mjs)
//   --filesystem  against server-filesystem (filesystem.mjs)
//   --held     against ts-v2-server.mjs (modern.mjs; these scenarios are the same in both eras)

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
    CreateMessageRequestSchema,
    ElicitRequestSchema,
    ListRootsRequestSchema,
    ResultSchema
} from '@modelcontextprotocol/sdk/types.js';

import { everything } from './everything.mjs';
import { filesystem } from './filesystem.mjs';
import { Inbox, main } from './harness.mjs';
import { held } from './modern.mjs';
import { streams } from './streams.mjs';

const SCHEMAS = {
    'elicitation/create': ElicitRequestSchema,
    'sampling/createMessage': CreateMessageRequestSchema,
    'roots/list': ListRootsRequestSchema
};
const CAPABILITY_OF = { 'elicitation/create': 'elicitation', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' };

async function connect(url, { answers = {}, capabilities = {} }) {
    const client = new Client({ name: 'conduit-ts-v1', version: '1.0.0' }, { capabilities });
    const inbox = new Inbox();
    const requests = [];
    client.fallbackNotificationHandler = async (notification) => inbox.push(notification);
    for (const [method, schema] of Object.entries(SCHEMAS)) {
        if (!(CAPABILITY_OF[method] in capabilities)) continue;
        client.setRequestHandler(schema, (request) => {
            requests.push(request);
            return answers[method](request);
        });
    }
    const transport = new StreamableHTTPClientTransport(new URL(url));
    await client.connect(transport);
    return {
        client,
        inbox,
        requests,
        answers,
        anyResult: ResultSchema,
        get sessionId() {
            return transport.sessionId;
        },
        call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
        errorOf: ({ code, message, data }) => ({ code, message, data }),
        terminate: () => transport.terminateSession(),
        close: () => client.close()
    };
}

function chosen() {
    if (process.argv.includes('--streams')) return streams;
    if (process.argv.includes('--filesystem')) return filesystem(connect);
    return process.argv.includes('--held') ? held(connect) : everything(connect);
}

await main(chosen());
