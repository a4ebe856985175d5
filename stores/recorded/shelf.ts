import type { Call } from '../../core/call.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { StoreReport } from '../store.ts';
import type { RecordedVersion } from './state.ts';

/** The newest version at a path. `number` 0: there never was one; without `document` it was deleted or is disabled. */
export interface Newest {
  readonly number: number;
  readonly createdAt: Date;
  readonly document: SecretValue | undefined;
}

/** The record of a path as it is kept, and what it takes to replace just that (undefined: it doesn't exist yet). */
export interface Kept {
  readonly token: string | undefined;
  readonly data: SecretValue | undefined;
}

/**
 * What a store must be able to do whose newest version is what consumers read, for {@link RecordedSession} to keep
 * versions in it.
 */
export interface Shelf {
  /** The product, for messages. */
  readonly product: string;
  /** Marks the record as Rotor's, with the version of its shape. */
  readonly format: string;
  /** How many versions without a stage are kept. */
  readonly keepVersions: number;

  /** Refuses what can't be staged here, before anything is changed. */
  prepare?(call: Call, path: string, document: SecretValue): Promise<void>;
  check(call: Call, path: string): Promise<StoreReport>;
  close(): Promise<void>;

  record(call: Call, path: string): Promise<Kept>;
  /** Replaces the record that `token` names. @returns the next token, or undefined when somebody was faster */
  writeRecord(
    call: Call,
    path: string,
    token: string | undefined,
    data: SecretValue,
  ): Promise<string | undefined>;

  newest(call: Call, path: string): Promise<Newest>;
  /** Lets consumers read a document after `number`. @returns its number; undefined when somebody wrote since */
  publish(call: Call, path: string, number: number, document: SecretValue): Promise<number | undefined>;
  /** What is left to do when consumers read `number`; may be repeated. */
  settle?(call: Call, path: string, number: number): Promise<void>;
  /** Whether what consumers read, is the document that was kept. */
  same(kept: SecretValue, read: SecretValue): boolean;

  /**
   * Keeps a document where no consumer reads it.
   * @param others versions of the path whose documents are kept already
   * @returns its number there, where documents have one
   * @throws RotorError `store.conflict` when the id exists with another document
   */
  keep(
    call: Call,
    path: string,
    versionId: string,
    document: SecretValue,
    others: readonly RecordedVersion[],
  ): Promise<number | undefined>;
  kept(call: Call, path: string, version: RecordedVersion): Promise<SecretValue | undefined>;
  /** Destroys the document of a version, and what was published of it. */
  forget(call: Call, path: string, version: RecordedVersion): Promise<void>;
}
