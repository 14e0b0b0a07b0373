// Runs scenarios against one MCP endpoint and prints a JSON line for each: {"name","ok","detail"}.
//
// Usage of every client program here: <program> URL [SCENARIO[,SCENARIO…]|all] [--flags]
// Exit code: 0 all passed, 1 some failed, 2 wrong usage.
//
// Invariant: `detail` holds only what is the same on every run (no ids, dates, session names), so that the
// caller can compare a run against the server with a run through the gateway, field by field.
// Invariant: nothing waits without a deadline, and no scenario sleeps: each waits for the thing it tests.

import { createHash } from 'node:crypto';

const SCENARIO_DEADLINE_MS = 30_000;
const EVENT_DEADLINE_MS = 15_000;

/** Rejects with a message that names `what` unless `promise` settles in time. */
export function within(promise, what, ms = EVENT_DEADLINE_MS) {
    let timer;
    const deadline = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
    });
    return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

/** Everything that a server sent unasked, in order; `next` waits for one that matches. */
export class Inbox {
    #messages = [];
    #waiters = [];

    push(message) {
        this.#messages.push(message);
        this.#waiters = this.#waiters.filter((waiter) => {
            if (!waiter.matches(message)) return true;
            waiter.resolve(message);
            return false;
        });
    }

    get messages() {
        return this.#messages;
    }

    next(what, matches) {
        const seen = this.#messages.find(matches);
        if (seen) return Promise.resolve(seen);
        const arrival = new Promise((resolve) => this.#waiters.push({ matches, resolve }));
        return within(arrival, what);
    }
}

/** A promise with its switch outside. */
export function gate() {
    let open;
    const opened = new Promise((resolve) => (open = resolve));
    return { open, opened };
}

/** A short name for a large value, so that a detail line stays readable and still tells a difference. */
export function digest(value) {
    return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** The first text of a tool result. */
export function text(result) {
    return result.content.find((block) => block.type === 'text')?.text;
}

/** Runs `action`, which must fail, and returns its error. */
export async function failure(what, action) {
    let value;
    try {
        value = await action();
    } catch (error) {
        return error;
    }
    throw new Error(`${what}: expected an error, got ${JSON.stringify(value).slice(0, 200)}`);
}

async function attempt(name, scenario, url) {
    try {
        const detail = await within(scenario(url), name, SCENARIO_DEADLINE_MS);
        return { name, ok: true, detail: detail ?? null };
    } catch (error) {
        return { name, ok: false, detail: String(error?.stack ?? error).slice(0, 2000) };
    }
}

/** Runs the chosen scenarios one after the other; never returns. */
export async function main(scenarios, argv = process.argv.slice(2)) {
    const [url, choice = 'all'] = argv.filter((argument) => !argument.startsWith('--'));
    const names = choice === 'all' ? Object.keys(scenarios) : choice.split(',');
    const unknown = names.filter((name) => !(name in scenarios));
    if (!url || unknown.length > 0) {
        console.error(`usage: <program> URL [all|${Object.keys(scenarios).join('|')}]; unknown: ${unknown}`);
        process.exit(2);
    }
    let failed = 0;
    for (const name of names) {
        const verdict = await attempt(name, scenarios[name], url);
        if (!verdict.ok) failed += 1;
        console.log(JSON.stringify(verdict));
    }
    process.exit(failed === 0 ? 0 : 1);
}
