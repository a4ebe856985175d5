import { z } from 'zod';
import { labelName, labelValue, objectName, qualifiedName } from '../../../core/kubernetes/names.ts';
import { fieldsIn, parseTemplate } from '../template.ts';

/** Keys that the API server asks of each type; service-account tokens are the cluster's own. */
export const REQUIRED_KEYS = {
  Opaque: [],
  'kubernetes.io/basic-auth': [],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
} as const satisfies Record<string, readonly string[]>;

export type SecretType = keyof typeof REQUIRED_KEYS;

const TYPES = Object.keys(REQUIRED_KEYS) as [SecretType, ...SecretType[]];
/** What Rotor itself writes, so that nobody's own labels get in its way. */
const OURS = /^(rotor\.dev\/|app\.kubernetes\.io\/managed-by$)/;

const notes = z
  .record(qualifiedName, z.string())
  .refine((all) => !Object.keys(all).some((name) => OURS.test(name)), {
    error: 'must not set rotor.dev/... or app.kubernetes.io/managed-by: Rotor does',
  })
  .default({});

/** `deliver[].secret` of a policy. */
export const secretSpec = z
  .strictObject({
    name: objectName.describe('Name of the Secret'),
    namespaces: z.array(labelName).min(1).max(100).describe('Where it is kept; the same in each'),
    style: z
      .enum(['stable', 'versioned'])
      .default('stable')
      .describe('One Secret that changes, or a new immutable one per version, named by its hash'),
    context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
    type: z.enum(TYPES).default('Opaque'),
    data: z
      .record(z.string().regex(/^[-._a-zA-Z0-9]{1,253}$/, 'must be letters, digits and "-_."'), z.string())
      .optional()
      .describe('Template of each key; every field under its own name when absent'),
    labels: notes.describe('May name public fields of the credential: "{{username}}"'),
    annotations: notes.describe('May name public fields of the credential: "{{username}}"'),
    adopt: z.boolean().default(false).describe('Take over a Secret that somebody else made'),
  })
  .superRefine((spec, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    if (spec.style === 'versioned' && spec.adopt)
      complain(['adopt'], 'has no use for style "versioned", which makes every Secret anew');
    for (const key of REQUIRED_KEYS[spec.type]) {
      if (spec.data?.[key] === undefined) complain(['data'], `needs the key "${key}" for type ${spec.type}`);
    }
    const neither = spec.data?.username === undefined && spec.data?.password === undefined;
    if (spec.type === 'kubernetes.io/basic-auth' && spec.data !== undefined && neither)
      complain(['data'], `needs the key "username" or "password" for type ${spec.type}`);
    for (const field of ['data', 'labels', 'annotations'] as const)
      for (const [key, template] of Object.entries(spec[field] ?? {})) {
        const parts = parseTemplate(template);
        if ('problem' in parts) complain([field, key], parts.problem);
      }
    for (const [name, value] of Object.entries(spec.labels)) {
      const fixed = fieldsIn(value).length === 0 ? labelValue.safeParse(value) : undefined;
      for (const { message } of fixed?.error?.issues ?? []) complain(['labels', name], message);
    }
  });

export type SecretSpec = z.infer<typeof secretSpec>;
