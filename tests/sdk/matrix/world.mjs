// What the fixture servers share: a folder whose entries are the state of the world, and news of its changes.
//
// One upstream may be many processes (a legacy stdio server is started once for each session), and a test must not
// depend on which of them a call reaches. So a change is an entry in the folder, and every process sees it.
//
// An entry is a folder `kind~part~part`, each part URI-encoded: making one is atomic and one event.

import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SEPARATOR = '~';

const encode = (parts) => parts.map(encodeURIComponent).join(SEPARATOR);
const decode = (entry) => entry.split(SEPARATOR).map(decodeURIComponent);

export class World {
    #folder;
    #listeners = new Set();

    constructor(folder) {
        this.#folder = folder ?? mkdtempSync(join(tmpdir(), 'conduit-world-'));
        mkdirSync(this.#folder, { recursive: true });
        watch(this.#folder, (_event, entry) => {
            if (entry === null) return;
            const [kind, ...parts] = decode(entry);
            for (const listener of this.#listeners) listener(kind, ...parts);
        });
    }

    /** Calls `listener(kind, ...parts)` whenever an entry comes or goes; the result ends that. */
    subscribe(listener) {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    }

    add(...parts) {
        mkdirSync(join(this.#folder, encode(parts)), { recursive: true });
    }

    remove(...parts) {
        rmdirSync(join(this.#folder, encode(parts)));
    }

    /** The first parts of all entries of a kind, sorted. */
    all(kind) {
        const entries = readdirSync(this.#folder).map(decode);
        return entries
            .filter(([one]) => one === kind)
            .map(([, part]) => part)
            .sort();
    }

    count(kind, part) {
        return this.all(kind).filter((one) => one === part).length;
    }

    /** Waits for the first entry of a kind with this part, past or to come. */
    async once(kind, part) {
        let unsubscribe;
        const came = new Promise((resolve) => {
            unsubscribe = this.subscribe((...entry) => entry[0] === kind && entry[1] === part && resolve());
        });
        if (this.count(kind, part) === 0) await came;
        unsubscribe();
    }
}
