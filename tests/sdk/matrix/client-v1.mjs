// A client on the official TypeScript SDK v1 (legacy only). Usage: see features.mjs; modes:
//   http  Streamable HTTP     sse  HTTP+SSE of 2024-11-05

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
    CreateMessageRequestSchema,
    ElicitRequestSchema,
    ListRootsRequestSchema
} from '@modelcontextprotocol/sdk/types.js';

import { ABLE, answers, Arrivals, main } from './features.mjs';

const REQUESTS = {
    'elicitation/create': ElicitRequestSchema,
    'sampling/createMessage': CreateMessageRequestSchema,
    'roots/list': ListRootsRequestSchema
};

const connect = (Transport) => async (url) => {
    const client = new Client({ name: 'conduit-matrix-ts-v1', version: '1.0.0' }, { capabilities: ABLE });
    const inbox = new Arrivals();
    const peer = { client, inbox, era: 'legacy', asked: [], answers: answers() };
    client.fallbackNotificationHandler = async (notification) => inbox.push(notification);
    for (const [method, schema] of Object.entries(REQUESTS)) {
        client.setRequestHandler(schema, (request) => {
            peer.asked.push(request);
            return peer.answers[method](request);
        });
    }
    const transport = new Transport(new URL(url));
    await client.connect(transport);
    const callTool = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
    return Object.assign(peer, {
        version: transport.protocolVersion ?? transport._protocolVersion,
        callTool,
        callLogging: async (level, name, args) => {
            await client.setLoggingLevel(level);
            await peer.call(name, args);
        },
        subscribe: async (uri) => {
            await client.subscribeResource({ uri });
            return { close: () => client.unsubscribeResource({ uri }) };
        },
        // Nothing to ask for: the transport hears of list changes by itself.
        watch: async () => ({ close: async () => {} }),
        close: async () => {
            await transport.terminateSession?.();
            await client.close();
        }
    });
};

await main({ http: connect(StreamableHTTPClientTransport), sse: connect(SSEClientTransport) });
