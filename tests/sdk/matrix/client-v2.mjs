// A client on the official TypeScript SDK v2. Usage: see features.mjs; modes:
//   pin  2026-07-28 and nothing else     auto  negotiates     legacy  the `initialize` handshake

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

import { ABLE, answers, Arrivals, CAPABILITY_OF, main } from './features.mjs';

const LIST_CHANGED = { tools: 'toolsListChanged', prompts: 'promptsListChanged', resources: 'resourcesListChanged' };
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
const NOTHING_TO_CLOSE = { close: async () => {} };

const connect = (mode) => async (url) => {
    const identity = { name: 'conduit-matrix-ts-v2', version: '1.0.0' };
    const client = new Client(identity, { capabilities: ABLE, versionNegotiation: { mode } });
    const inbox = new Arrivals();
    const peer = { client, inbox, asked: [], answers: answers() };
    client.fallbackNotificationHandler = async (notification) => inbox.push(notification);
    for (const method of Object.keys(CAPABILITY_OF)) {
        client.setRequestHandler(method, (request) => {
            peer.asked.push(request);
            return peer.answers[method](request);
        });
    }
    const transport = new StreamableHTTPClientTransport(new URL(url));
    await client.connect(transport);
    const era = client.getProtocolEra();
    const listen = async (filter) => {
        const subscription = await client.listen(filter);
        for (const key of Object.keys(filter)) {
            if (!subscription.honoredFilter[key]) throw new Error(`${key} was not honoured: ${JSON.stringify(subscription.honoredFilter)}`);
        }
        return subscription;
    };
    return Object.assign(peer, {
        era,
        version: client.getNegotiatedProtocolVersion(),
        callTool: (name, args, options) => client.callTool({ name, arguments: args }, options),
        callLogging: async (level, name, args) => {
            if (era === 'legacy') {
                await client.setLoggingLevel(level);
                return peer.call(name, args);
            }
            return client.callTool({ name: peer.name(name), arguments: args, _meta: { [LOG_LEVEL]: level } });
        },
        subscribe: async (uri) => {
            if (era === 'modern') return listen({ resourceSubscriptions: [uri] });
            await client.subscribeResource({ uri });
            return { close: () => client.unsubscribeResource({ uri }) };
        },
        watch: async (kind) => (era === 'modern' ? listen({ [LIST_CHANGED[kind]]: true }) : NOTHING_TO_CLOSE),
        close: async () => {
            if (era === 'legacy') await transport.terminateSession();
            await client.close();
        }
    });
};

await main({ pin: connect({ pin: '2026-07-28' }), auto: connect('auto'), legacy: connect('legacy') });
