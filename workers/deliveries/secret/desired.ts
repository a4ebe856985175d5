import type { Credential } from '../../../core/credential.ts';
import type { ClusterObject, ObjectRef } from '../../../core/kubernetes/cluster.ts';
import { FENCE, MANAGED_BY, VERSION } from '../../kubernetes/delivered.ts';
import { fitting, LOGICAL_NAME } from '../../kubernetes/secret-names.ts';
import { fillTemplate, valuesOf } from '../template.ts';
import { notesOf } from './notes.ts';
import type { SecretSpec } from './spec.ts';

type Texts = Readonly<Record<string, string>>;

/** What a Secret shall be, but for who writes it; `data` is in base64, as the API has it. */
export interface Desired {
  readonly type: string;
  readonly labels: Texts;
  readonly annotations: Texts;
  readonly data: Texts;
  readonly immutable: boolean;
}

/**
 * @throws RotorError `manifest.invalid` when a template names a field that the credential doesn't have, or a label or an
 *   annotation one that is secret
 */
export function desiredOf(spec: SecretSpec, credential: Credential): Desired {
  const values = valuesOf(credential);
  const texts = spec.data
    ? Object.entries(spec.data).map(([key, template]) => [key, fillTemplate(template, values)] as const)
    : [...values];
  const { labels, annotations } = notesOf(spec, credential);
  return {
    ...around(spec, labels),
    annotations: { ...annotations, [VERSION]: credential.versionId },
    data: Object.fromEntries(texts.map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  };
}

/**
 * The same object without a secret in it, for the API server to check beforehand.
 * @param current whose public fields labels and annotations may name; those that do are left out without one
 */
export function rehearsalOf(spec: SecretSpec, current: Credential | undefined): Desired {
  const nothing = Buffer.from('{}').toString('base64');
  const usual = { username: '', password: '' };
  const { labels, annotations } = notesOf(spec, current);
  return {
    ...around(spec, labels),
    annotations,
    data: Object.fromEntries(Object.keys(spec.data ?? usual).map((key) => [key, nothing])),
  };
}

function around(
  { type, name, style }: SecretSpec,
  labels: Texts,
): Pick<Desired, 'type' | 'labels' | 'immutable'> {
  const versioned = style === 'versioned';
  return {
    type,
    immutable: versioned,
    labels: {
      ...labels,
      [MANAGED_BY]: 'rotor',
      ...(versioned ? { [LOGICAL_NAME]: fitting(name, 63) } : {}),
    },
  };
}

/**
 * The object to be written.
 * @param seen the object that was looked at: nobody else must have written between our look and our write
 */
export function objectOf(
  { apiVersion, kind, namespace, name }: ObjectRef,
  { type, labels, annotations, data, immutable }: Desired,
  { fence, seen }: { readonly fence?: bigint; readonly seen?: ClusterObject | undefined },
): ClusterObject {
  const { resourceVersion } = seen?.metadata ?? {};
  return {
    apiVersion,
    kind,
    metadata: {
      namespace,
      name,
      ...(resourceVersion ? { resourceVersion } : {}),
      labels,
      annotations: { ...annotations, ...(fence === undefined ? {} : { [FENCE]: String(fence) }) },
    },
    type,
    ...(immutable ? { immutable } : {}),
    data,
  };
}
