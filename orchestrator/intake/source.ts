import type { z } from 'zod';
import type { Deadline } from '../../core/retry.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { Message, Report } from './report.ts';

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

/** What asking a source may need. */
export interface Asking extends Pick<Surroundings, 'now' | 'secrets'> {
  readonly deadline: Deadline;
}

/** A report as far as it is known: what was found is still to be asked for. */
export type OpenReport = Omit<Report, 'found'>;

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
  /** Longest body in bytes; a mebibyte when absent. Only for sources that prove themselves by their headers alone. */
  maxBytes?(settings: Settings): number;
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
  /**
   * Asks the source for what {@link read} said is wanted, after the report was committed, as often as it takes.
   * @throws RotorError `provider.throttled` with the time in which it isn't to be asked again; terminal errors of other codes
   *   are repeated too, since a person may correct what is wrong, but for `provider.unsupported`
   */
  inquire?(wanted: unknown, report: OpenReport, settings: Settings, asking: Asking): Promise<Report>;
}
