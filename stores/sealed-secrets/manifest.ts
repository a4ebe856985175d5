import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';
import { jsonObjectIn } from '../../core/json.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Certificate } from './certificate.ts';
import { labelOf, type Scope, sealValue } from './seal.ts';
import type { SealedSecretsSpec } from './spec.ts';

/** Key of a document that is no flat object, or whose fields a Secret can't have for keys. */
const WHOLE = 'document';
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const KEY = /^[-._a-zA-Z0-9]{1,253}$/;
/** Version of the credential, what Rotor wrote, and for which certificate. None of it is secret. */
const VERSION = 'rotor.dev/version';
const SEALED = 'rotor.dev/sealed';
const CERTIFICATE = 'rotor.dev/certificate';
const VALID_FROM = 'rotor.dev/certificate-from';

export interface Target {
  readonly namespace: string;
  readonly name: string;
  readonly scope: Scope;
  readonly key: string | undefined;
  readonly type: string | undefined;
}

/**
 * The Secret that a store path names.
 * @throws RotorError `manifest.invalid` for a path that names none
 */
export function targetOf({ namespace: own, scope, key, type }: SealedSecretsSpec, path: string): Target {
  const parts = path.split('/');
  const [namespace, name] = parts.length === 2 ? parts : [own, path];
  if (namespace && name && NAME.test(name) && NAMESPACE.test(namespace))
    return { namespace, name, scope, key, type };
  throw new RotorError('manifest.invalid', {
    what: `store path ${JSON.stringify(path.slice(0, 400))} names no Secret`,
    hint: 'Write `<namespace>/<name>`, or `<name>` with `namespace` in the Store.',
  });
}

const manifestSchema = z.looseObject({
  kind: z.literal('SealedSecret'),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    annotations: z.record(z.string(), z.string()).nullish(),
    labels: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.looseObject({
    encryptedData: z.record(z.string(), z.string()),
    template: z.looseObject({}).nullish(),
  }),
});

type Manifest = z.infer<typeof manifestSchema>;

/** What a file says that Rotor wrote. */
export interface Written {
  readonly versionId: string;
  readonly certificate: string;
  readonly validFrom: string;
}

/**
 * The text of a SealedSecret for a document. What the file had beside sealed values (labels, annotations, the template)
 * stays, comments don't.
 */
export function manifestOf(
  target: Target,
  { versionId, document }: { readonly versionId: string; readonly document: SecretValue },
  certificate: Certificate,
  before: string | undefined,
): string {
  const { namespace, name, scope } = target;
  const old = before === undefined ? undefined : manifestIn(before);
  const label = labelOf(scope, namespace, name);
  const encryptedData = Object.fromEntries(
    valuesOf(document, target.key).map(([key, value]) => [key, sealValue(certificate.key, value, label)]),
  );
  const scoped = scope === 'strict' ? {} : { [`sealedsecrets.bitnami.com/${scope}`]: 'true' };
  const template = {
    ...old?.spec.template,
    ...(target.type === undefined ? {} : { type: target.type }),
    metadata: {
      ...(old?.spec.template?.metadata as object | undefined),
      name,
      namespace,
      ...(scope === 'strict' ? {} : { annotations: { ...templateAnnotations(old), ...scoped } }),
    },
  };
  const spec = { ...old?.spec, encryptedData, template };
  const annotations = {
    ...old?.metadata.annotations,
    ...scoped,
    [VERSION]: versionId,
    [SEALED]: hashOf(namespace, name, spec),
    [CERTIFICATE]: certificate.fingerprint,
    [VALID_FROM]: certificate.validFrom,
  };
  const manifest = {
    apiVersion: 'bitnami.com/v1alpha1',
    kind: 'SealedSecret',
    metadata: { ...old?.metadata, name, namespace, annotations },
    spec,
  };
  return stringify(manifest, { lineWidth: 0 });
}

/** What Rotor wrote into a file; undefined when somebody else did, or changed it since. */
export function writtenIn(text: string): Written | undefined {
  const manifest = manifestIn(text);
  const { annotations, name, namespace } = manifest?.metadata ?? {};
  const versionId = annotations?.[VERSION];
  if (!manifest || versionId === undefined || namespace === undefined) return undefined;
  if (annotations?.[SEALED] !== hashOf(namespace, name ?? '', manifest.spec)) return undefined;
  return {
    versionId,
    certificate: annotations[CERTIFICATE] ?? '',
    validFrom: annotations[VALID_FROM] ?? '',
  };
}

/** Undefined for what is no SealedSecret. */
function manifestIn(text: string): Manifest | undefined {
  try {
    const parsed = manifestSchema.safeParse(parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

function templateAnnotations(old: Manifest | undefined): object {
  const metadata = old?.spec.template?.metadata as { annotations?: object } | undefined;
  return metadata?.annotations ?? {};
}

/** Sealed values differ with every sealing, so their hash tells who wrote them; it says nothing about what is inside. */
function hashOf(namespace: string, name: string, spec: object): string {
  return createHash('sha256')
    .update(canonicalize([namespace, name, spec]) ?? '')
    .digest('hex');
}

function valuesOf(
  document: SecretValue,
  key: string | undefined,
): readonly (readonly [string, SecretValue])[] {
  const fields = key === undefined ? flat(document) : undefined;
  if (!fields) return [[key ?? WHOLE, document]];
  return Object.entries(fields).map(([name, value]) => [name, SecretValue.of(String(value ?? ''))]);
}

function flat(document: SecretValue): Readonly<Record<string, unknown>> | undefined {
  const parsed = jsonObjectIn(document.reveal());
  if (!parsed) return undefined;
  const entries = Object.entries(parsed);
  const fits = entries.every(
    ([name, value]) => KEY.test(name) && (typeof value !== 'object' || value === null),
  );
  return fits && entries.length > 0 ? parsed : undefined;
}

/** Why a file that isn't Rotor's is left alone. */
export function notOurs(file: string): RotorError {
  return new RotorError('store.conflict', {
    what: `sealed-secrets: ${file} is there, and Rotor didn't write it or somebody changed it since`,
    hint: 'Set `adopt: true` in the Store to take it over (`initialFrom` of the policy names the credential in it), or name another path.',
  });
}
