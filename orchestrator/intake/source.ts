import type { z } from 'zod';
import type { SecretValue } from '../../core/secret.ts';
import type { Message } from './report.ts';

/** A request as it came: nothing is parsed before its sender is proven. */
export interface HookRequest {
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** What verifying may need besides the request. */
export interface Surroundings {
  readonly now: Date;
  /** Fetches a public key or certificate, whose address the source has checked; kept for a while. @throws RotorError */
  fetchText(url: string): Promise<string>;
  /** The secrets of a source as they are now: several while one replaces the other. @throws RotorError `reference.unresolved` */
  secrets(references: readonly SecretReference[]): Promise<readonly SecretValue[]>;
}

export interface SecretReference {
  readonly file: string;
}

/**
 * One kind of sender: how it proves itself, and what it says. Every source has this shape, so who knows one knows all.
 */
export interface HookSource<Settings = unknown> {
  /** Key under which the hooks file names it. */
  readonly kind: string;
  readonly settings: z.ZodType<Settings>;
  /**
   * Proves over the raw bytes who sent it.
   * @throws RotorError `hook.unauthenticated`
   */
  verify(request: HookRequest, settings: Settings, around: Surroundings): Promise<void>;
  /**
   * Reads a request whose sender is proven.
   * @throws RotorError `hook.malformed`, without a word of what was in it
   */
  read(request: HookRequest, settings: Settings): Message;
}
