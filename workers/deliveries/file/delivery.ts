import { constants } from 'node:fs';
import { access, lstat, open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { foreignCode } from '../../../core/errors.ts';
import { SecretValue } from '../../../core/secret.ts';
import type { Delivery, DeliverySession } from '../delivery.ts';
import { onTarget, refused } from './disk-errors.ts';
import { type Ids, resolveIds } from './owner.ts';
import { render } from './render.ts';
import { replaceFile } from './replace.ts';
import { type FileSpec, fileSpec } from './spec.ts';

/** Writes the credential into a file that the worker can reach. */
export const fileDelivery: Delivery<FileSpec> = {
  kind: 'file',
  spec: fileSpec,
  open: (spec) => new FileDeliverySession(spec),
};

class FileDeliverySession implements DeliverySession {
  readonly target: string;
  readonly #spec: FileSpec;
  readonly #mode: number;

  constructor(spec: FileSpec) {
    this.#spec = spec;
    this.#mode = Number.parseInt(spec.mode, 8);
    this.target = `file ${spec.path}`;
  }

  async plan(call: Call): Promise<void> {
    const folder = dirname(this.#spec.path);
    await onTarget(
      this.target,
      async () => {
        call.deadline.assertTime(`look at ${this.target}`);
        const { mode } = await stat(folder);
        // The sticky bit (as on /tmp) keeps others from exchanging files, so only its absence is refused.
        if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
          throw refused(this.target, 'everybody may exchange files in its directory', `chmod o-w ${folder}`);
        }
        await access(folder, constants.W_OK | constants.X_OK);
        await this.#assertReplaceable();
        const { uid } = await resolveIds(this.#spec);
        const me = process.geteuid?.();
        if (uid !== undefined && me !== undefined && me !== 0 && uid !== me) {
          throw refused(
            this.target,
            `only root may give it to user ${this.#spec.owner}`,
            'Run the worker as that user or as root, or use `group` instead of `owner`.',
          );
        }
      },
      'terminal',
    );
  }

  async deliver(call: Call, credential: Credential): Promise<void> {
    const content = render(this.#spec, credential);
    try {
      await onTarget(this.target, async () => {
        call.deadline.assertTime(`write ${this.target}`);
        await this.#assertReplaceable();
        const ids = await resolveIds(this.#spec);
        await replaceFile(call, this.#spec.path, content, { mode: this.#mode, ...ids });
      });
    } finally {
      content.destroy();
    }
  }

  async holds(call: Call, credential: Credential): Promise<boolean> {
    const wanted = render(this.#spec, credential);
    try {
      return await onTarget(this.target, async () => {
        call.deadline.assertTime(`read ${this.target}`);
        return this.#holds(wanted, await resolveIds(this.#spec));
      });
    } finally {
      wanted.destroy();
    }
  }

  async #holds(wanted: SecretValue, ids: Ids): Promise<boolean> {
    let handle: Awaited<ReturnType<typeof open>>;
    try {
      // O_NONBLOCK: a pipe put in its place must not make us wait for a writer.
      handle = await open(this.#spec.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      // ELOOP is how O_NOFOLLOW refuses a link.
      if (['ENOENT', 'ELOOP'].includes(foreignCode(error) ?? '')) return false;
      throw error;
    }
    try {
      const stats = await handle.stat();
      const looksRight =
        stats.isFile() &&
        stats.size === wanted.size &&
        (stats.mode & 0o7777) === this.#mode &&
        (ids.uid ?? stats.uid) === stats.uid &&
        (ids.gid ?? stats.gid) === stats.gid;
      if (!looksRight) return false;
      const bytes = await handle.readFile();
      const held = SecretValue.of(bytes);
      bytes.fill(0);
      const same = held.equals(wanted);
      held.destroy();
      return same;
    } finally {
      await handle.close();
    }
  }

  /**
   * A link is refused rather than followed: whoever may exchange it would choose where the secret goes, and
   * renaming onto it would silently cut it off from the file that consumers read.
   */
  async #assertReplaceable(): Promise<void> {
    let stats: Awaited<ReturnType<typeof lstat>>;
    try {
      stats = await lstat(this.#spec.path);
    } catch (error) {
      if (foreignCode(error) === 'ENOENT') return;
      throw error;
    }
    if (stats.isFile()) return;
    const what = stats.isSymbolicLink() ? 'a symbolic link' : 'no regular file';
    throw refused(this.target, `${basename(this.#spec.path)} is ${what}`, 'Name the file itself in `path`.');
  }
}
