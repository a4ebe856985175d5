import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Call } from '../../core/call.ts';
import { formatDuration, parseDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster } from '../../core/kubernetes/cluster.ts';
import { objectName as name } from '../../core/kubernetes/names.ts';
import { type Baseline, type MountSpec, UNKNOWN_BASELINE } from '../kubernetes/mounts/decide.ts';
import { rotationHint } from '../kubernetes/mounts/look.ts';
import { versionAnnotation } from '../kubernetes/workloads.ts';
import type { Known } from './rollout.ts';

/** How the spec of a consumer names where its pods get the credential: a delivered Secret, or the store by a volume driver. */
export const sourceFields = {
  secretName: name.optional().describe('The delivered Secret that its pods read'),
  secretProviderClass: name
    .optional()
    .describe(
      'In place of `secretName`: the SecretProviderClass by which the Secrets Store CSI driver mounts what the store has',
    ),
  objects: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('The objects of the class that are the credential; needed where it has more than one'),
};

export interface Source {
  readonly secretName?: string | undefined;
  readonly secretProviderClass?: string | undefined;
  readonly objects?: readonly string[] | undefined;
}

/** @returns what is wrong with how the source is named, and where; undefined when nothing is */
export function sourceProblem({
  secretName,
  secretProviderClass,
  objects,
}: Source): { readonly path: string[]; readonly message: string } | undefined {
  if ((secretName === undefined) === (secretProviderClass === undefined))
    return { path: [], message: 'needs exactly one of `secretName` and `secretProviderClass`' };
  if (objects && !secretProviderClass)
    return { path: ['objects'], message: 'has a use with `secretProviderClass` only' };
  return undefined;
}

export function mountOf({ secretProviderClass, objects }: Source): MountSpec | undefined {
  return secretProviderClass === undefined ? undefined : { providerClass: secretProviderClass, objects };
}

/**
 * The annotation that says which version pods started with. No Secret has the name by which a class is told there. The
 * objects are part of it, since a class may have those of several credentials, each with versions of its own.
 */
export function annotationOf({ secretName, secretProviderClass, objects }: Source): string {
  const which = objects ? [...objects].sort().join(',') : '';
  const of = which === '' ? '' : `_${createHash('sha256').update(which).digest('hex').slice(0, 8)}`;
  return versionAnnotation(secretName ?? `csi_${secretProviderClass}${of}`);
}

export function baselineIn(known: Known | undefined): Baseline {
  return (known?.before as Baseline | undefined) ?? UNKNOWN_BASELINE;
}

/**
 * The driver looks at the store every two minutes, where its rotation is switched on.
 * @throws RotorError `rollout.unhealthy` when it has taken longer than `timeout`
 */
export function assertMountTime(
  call: Call,
  cluster: Cluster,
  known: Known | undefined,
  timeout: string,
  words: string,
): void {
  const waitedMs = call.clock.now().getTime() - (known?.since.getTime() ?? Number.POSITIVE_INFINITY);
  if (waitedMs <= (parseDuration(timeout) ?? 0)) return;
  throw new RotorError('rollout.unhealthy', {
    what: `${words}, ${formatDuration(waitedMs)} after the version came`,
    hint: rotationHint(cluster),
  });
}
