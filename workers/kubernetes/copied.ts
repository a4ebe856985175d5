import type { Credential } from '../../core/credential.ts';
import type { ClusterObject } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import { fieldsWrittenMs } from './field-ownership.ts';

/**
 * Whether a Secret that somebody else wrote carries a credential, by its content: it has no version of ours.
 * @param keys which key must equal which field (`versionId` is one); keys that are named like fields when absent
 * @returns words about what it lacks, without any value; undefined when it carries it
 */
export function lacks(
  secret: ClusterObject | undefined,
  { versionId, fields, secrets }: Credential,
  keys: Readonly<Record<string, string>> | undefined,
): string | undefined {
  if (!secret) return 'it does not exist yet';
  const data: Readonly<Record<string, string>> = secret.data ?? {};
  const wanted: Record<string, SecretValue> = { versionId: SecretValue.of(versionId), ...secrets };
  for (const [name, value] of Object.entries(fields)) wanted[name] = SecretValue.of(value);
  const pairs = keys
    ? Object.entries(keys)
    : Object.keys(data)
        .filter((key) => wanted[key] !== undefined)
        .map((key) => [key, key] as const);
  if (!pairs.some(([, field]) => secrets[field] !== undefined))
    return `none of its keys (${Object.keys(data).join(', ') || 'it has none'}) is a secret field of the credential; name them in \`keys\``;
  const other = pairs.find(([key, field]) => !same(data[key], wanted[field]));
  return other && `its key ${other[0]} has another value than field ${other[1]} of the version`;
}

function same(base64: string | undefined, wanted: SecretValue | undefined): boolean {
  if (base64 === undefined || wanted === undefined) return false;
  const held = SecretValue.of(Buffer.from(base64, 'base64'));
  const equal = held.equals(wanted);
  held.destroy();
  return equal;
}

/**
 * When the data of a Secret was last written. An application of the same data with other annotations counts as well: later
 * than the truth, never earlier.
 * @returns milliseconds since 1970, in whole seconds; undefined when nobody is noted for its data
 */
export function dataWrittenMs(secret: ClusterObject): number | undefined {
  return fieldsWrittenMs(secret, ['data']);
}
