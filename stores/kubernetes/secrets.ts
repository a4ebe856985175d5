import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';
import { jsonIn } from '../../core/json.ts';
import { type ClusterObject, nameOf, type ObjectRef } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Droppable } from '../stages.ts';
import { baseName } from './names.ts';

/** The API server takes that much in all values of a Secret together (MaxSecretSize of core/v1). */
export const MAX_BYTES = 1_048_576;

/** A type never changes, so it tells for ever what a Secret was made as. */
const VERSION_TYPE = 'rotor.dev/store-version';
const INDEX_TYPE = 'rotor.dev/store-index';

/** Not `rotor`, as delivered Secrets have: nothing that delivers or looks for drift takes these for its own. */
const LABELS = { 'app.kubernetes.io/managed-by': 'rotor-store' };
const BASE = 'rotor.dev/store';
const PATH = 'rotor.dev/store-path';
const VERSION = 'rotor.dev/version';
const FENCE = 'rotor.dev/fence';

/** What one path is like. Holds no secret. */
export interface Index {
  /** Highest fencing token that wrote here. */
  readonly fence: bigint;
  /** Oldest first. */
  readonly versions: readonly Droppable[];
}

const indexSchema = z.object({
  format: z.literal('rotor.store.kubernetes/1'),
  fence: z.string().regex(/^\d+$/),
  versions: z.array(
    z.object({
      versionId: z.string(),
      createdAt: z.iso.datetime(),
      stages: z.array(z.enum(['pending', 'current', 'previous'])),
      dropped: z.boolean().optional(),
    }),
  ),
});

export function versionSecret(
  ref: ObjectRef,
  path: string,
  versionId: string,
  document: SecretValue,
  fence: bigint,
): ClusterObject {
  return {
    ...headOf(ref, path, { [VERSION]: versionId, [FENCE]: String(fence) }),
    type: VERSION_TYPE,
    immutable: true,
    data: { document: Buffer.from(document.reveal()).toString('base64') },
  };
}

/** @throws RotorError `cluster.not-owned` when it isn't the version of this path by this store */
export function documentIn(found: ClusterObject, path: string, versionId: string): SecretValue {
  assertOwned(found, VERSION_TYPE, path);
  const { annotations } = found.metadata ?? {};
  if (annotations?.[VERSION] !== versionId || typeof found.data?.document !== 'string') throw notOwned(found);
  return SecretValue.of(Buffer.from(found.data.document, 'base64'));
}

/** The fencing token of the worker that made a version's Secret. */
export function fenceOf(found: ClusterObject): bigint {
  const text = found.metadata?.annotations?.[FENCE] ?? '';
  return /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
}

export function indexSecret(ref: ObjectRef, path: string, index: Index): ClusterObject {
  return { ...headOf(ref, path, {}), type: INDEX_TYPE, data: { index: encodeIndex(index) } };
}

/** As it stands in `data` of the index's Secret. */
export function encodeIndex({ fence, versions }: Index): string {
  const text = JSON.stringify({ format: 'rotor.store.kubernetes/1', fence: String(fence), versions });
  return Buffer.from(text).toString('base64');
}

/** @throws RotorError `cluster.not-owned`, `store.conflict` when somebody else wrote it */
export function decodeIndex(found: ClusterObject, path: string): Index {
  assertOwned(found, INDEX_TYPE, path);
  const parsed = indexSchema.safeParse(jsonOf(found.data?.index));
  if (!parsed.success)
    throw new RotorError('store.conflict', {
      what: `${namedOf(found)} was not written by this version of Rotor`,
      hint: 'Put back what it was: it says which version of the path has which stage.',
    });
  const { fence, versions } = parsed.data;
  return { fence: BigInt(fence), versions };
}

function jsonOf(base64: unknown): unknown {
  if (typeof base64 !== 'string') return undefined;
  return jsonIn(Buffer.from(base64, 'base64').toString());
}

function headOf({ apiVersion, kind, namespace, name }: ObjectRef, path: string, more: object) {
  const labels = { ...LABELS, [BASE]: baseName(path) };
  return { apiVersion, kind, metadata: { namespace, name, labels, annotations: { [PATH]: path, ...more } } };
}

function assertOwned(found: ClusterObject, type: string, path: string): void {
  if (found.type !== type || found.metadata?.annotations?.[PATH] !== path) throw notOwned(found);
}

function notOwned(found: ClusterObject): RotorError {
  return new RotorError('cluster.not-owned', {
    what: `${namedOf(found)} has a name of the store's, and was not made by it for this path`,
    hint: 'Rename or delete it, or keep the store in another namespace.',
  });
}

function namedOf({ metadata }: ClusterObject): string {
  return nameOf({ kind: 'Secret', namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' });
}
