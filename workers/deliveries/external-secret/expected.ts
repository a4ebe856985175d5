import type { Credential } from '../../../core/credential.ts';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../../core/secret.ts';
import { fillTemplate, valuesOf } from '../template.ts';

/**
 * What a Secret lacks of what the templates make of a version: names of keys, and never a value.
 * @throws RotorError `manifest.invalid` when a template names a field that the credential doesn't have
 */
export function lacksTexts(
  secret: ClusterObject | undefined,
  templates: Readonly<Record<string, string>>,
  credential: Credential,
): string | undefined {
  if (!secret) return 'it does not exist yet';
  const values = valuesOf(credential);
  for (const [key, template] of Object.entries(templates)) {
    const held: unknown = secret.data?.[key];
    if (typeof held !== 'string') return `it has no key ${key}`;
    const wanted = SecretValue.of(fillTemplate(template, values));
    if (!SecretValue.of(Buffer.from(held, 'base64')).equals(wanted))
      return `its key ${key} is not what the version makes of it`;
  }
  return undefined;
}
