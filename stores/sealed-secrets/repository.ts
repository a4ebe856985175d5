import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { type GitAnswer, gitTrouble, placeOf, runGit, wasMoved } from './git.ts';
import type { Place } from './places.ts';
import type { GitSpec } from './spec.ts';

type More = Parameters<typeof runGit>[4];

const HEAD = 'refs/rotor/head';

/**
 * One branch of a repository, seen through a bare copy of its last commit that is gone with the session. Nothing is ever
 * checked out. A push takes only what follows on the branch as it is: that is the precondition.
 */
export class Repository implements Place {
  readonly #spec: GitSpec;
  #home: Promise<string> | undefined;

  constructor(spec: GitSpec) {
    this.#spec = spec;
  }

  get name(): string {
    return `${placeOf(this.#spec.url)}, branch ${this.#spec.branch}`;
  }

  async read(call: Call, file: string): Promise<string | undefined> {
    return (await this.#fetch(call, file)).text;
  }

  async replace(
    call: Call,
    file: string,
    before: string | undefined,
    text: string,
    message: string,
  ): Promise<boolean> {
    for (;;) {
      const { head, text: now } = await this.#fetch(call, file);
      if (now !== before) return false;
      const commit = await this.#commit(call, head, file, text, message);
      const { url, branch } = this.#spec;
      const pushed = await this.#git(call, ['push', '--quiet', '--', url, `${commit}:refs/heads/${branch}`]);
      if (pushed.code === 0) return true;
      // Somebody changed the branch, perhaps in another file: that is for the next round to tell.
      if (!wasMoved(pushed)) throw gitTrouble('push to', this.#spec, pushed);
    }
  }

  async close(): Promise<void> {
    const home = await this.#home?.catch(() => undefined);
    this.#home = undefined;
    if (home !== undefined) await rm(home, { recursive: true, force: true });
  }

  /** The branch's last commit, and what a file holds there. */
  async #fetch(
    call: Call,
    file: string,
  ): Promise<{ readonly head: string; readonly text: string | undefined }> {
    const { url, branch } = this.#spec;
    const refs = `+refs/heads/${branch}:${HEAD}`;
    const fetched = await this.#git(call, ['fetch', '--quiet', '--depth=1', '--no-tags', '--', url, refs]);
    if (fetched.code !== 0) throw gitTrouble('fetch from', this.#spec, fetched);
    const input = `${HEAD}\n${HEAD}:${file}\n`;
    const [commit, blob] = objectsIn((await this.#own(call, ['cat-file', '--batch'], { input })).out);
    if (commit?.type !== 'commit')
      throw new RotorError('internal.bug', { what: 'a fetched branch has no commit' });
    if (blob && blob.type !== 'blob') {
      throw new RotorError('store.unsupported', {
        what: `sealed-secrets: ${file} at ${this.name} is no plain file`,
      });
    }
    return { head: commit.id, text: blob?.content };
  }

  /** A commit on top of `head` that differs in one file. @returns a name of its own, gone with the copy */
  async #commit(call: Call, head: string, file: string, text: string, message: string): Promise<string> {
    const ref = `refs/rotor/${call.random.uuid()}`;
    const { name, email } = this.#spec.author;
    const input = [
      `commit ${ref}`,
      `committer ${name} <${email}> ${Math.floor(call.clock.now().getTime() / 1000)} +0000`,
      `data ${Buffer.byteLength(message)}`,
      `${message}from ${head}`,
      `M 100644 inline ${file}`,
      `data ${Buffer.byteLength(text)}`,
      text,
      '',
    ].join('\n');
    await this.#own(call, ['fast-import', '--quiet'], { input });
    return ref;
  }

  /** A command that only touches the copy, and so can't fail for the server's reasons. */
  async #own(call: Call, args: readonly string[], more: More = {}): Promise<GitAnswer> {
    const answer = await this.#git(call, args, more);
    if (answer.code === 0) return answer;
    throw new RotorError('store.unavailable', {
      what: `sealed-secrets: git ${args[0]} failed (exit code ${answer.code}) in a copy of ${this.name}`,
      hint: 'Check that the workers may write to their temporary folder, and that it is not full.',
    });
  }

  async #git(call: Call, args: readonly string[], more: More = {}): Promise<GitAnswer> {
    return runGit(call, this.#spec, await this.#folder(call), args, more);
  }

  #folder(call: Call): Promise<string> {
    this.#home ??= this.#make(call);
    this.#home.catch(() => {
      this.#home = undefined;
    });
    return this.#home;
  }

  async #make(call: Call): Promise<string> {
    const home = await mkdtemp(join(tmpdir(), 'rotor-git-'));
    const made = await runGit(call, this.#spec, home, ['init', '--quiet', '--bare', '.']);
    if (made.code === 0) return home;
    await rm(home, { recursive: true, force: true });
    throw new RotorError('store.unavailable', { what: `sealed-secrets: git init failed in ${tmpdir()}` });
  }
}

interface GitObject {
  readonly id: string;
  readonly type: string;
  readonly content: string;
}

/** What `git cat-file --batch` says: `<id> <type> <bytes>`, then so many bytes; `<name> missing` where there is none. */
function objectsIn(out: Buffer): readonly (GitObject | undefined)[] {
  const objects: (GitObject | undefined)[] = [];
  for (let at = 0; at < out.length; ) {
    const end = out.indexOf('\n', at);
    const [id = '', type = '', size] = out.toString('utf8', at, end).split(' ');
    if (size === undefined) {
      objects.push(undefined);
      at = end + 1;
      continue;
    }
    const from = end + 1;
    objects.push({ id, type, content: out.toString('utf8', from, from + Number(size)) });
    at = from + Number(size) + 1;
  }
  return objects;
}
