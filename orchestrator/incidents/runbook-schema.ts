import { z } from 'zod';
import { awsFields } from '../../core/aws/spec.ts';
import { duration } from '../../core/duration-schema.ts';
import { noDotSegments } from '../../core/url-path.ts';
import { vaultServer } from '../../core/vault/server.ts';
import { type Exposure, SEVERITIES, type Validity } from '../intake/report.ts';
import { keyed } from '../manifests/keyed.ts';

const VALIDITIES = ['active', 'inactive', 'unknown'] as const satisfies readonly Validity[];
const EXPOSURES = ['public', 'internal', 'unknown'] as const satisfies readonly Exposure[];

const fromFile = z.strictObject({ file: z.string().min(1) });
const httpUrl = z.url({ protocol: /^https?$/ });
const DAY_MS = 86_400_000;

export const when = z
  .strictObject({
    severity: z.array(z.enum(SEVERITIES)).min(1).max(4).optional(),
    validity: z.array(z.enum(VALIDITIES)).min(1).max(3).optional(),
    exposure: z.array(z.enum(EXPOSURES)).min(1).max(3).optional(),
    environment: z
      .array(z.string().min(1).max(63))
      .min(1)
      .max(20)
      .optional()
      .describe('What the label `environment` of the policy may be'),
  })
  .describe('Only for reports like that; each field lists what it may be');

export const contain = z.strictObject({
  after: duration({ max: 30 * DAY_MS })
    .optional()
    .describe(
      'Consumers first: contained after that long whoever still uses it. Absent: before anything else',
    ),
});

export const approve = z
  .strictObject({
    people: z.int().min(1).max(10).default(2).describe('So many different people'),
    expiresAfter: duration({ min: 1_000, max: 30 * DAY_MS }).default(4 * 3_600_000),
    onExpiry: z
      .enum(['continue', 'stop'])
      .default('stop')
      .describe('What becomes of the steps after it when too few have approved'),
  })
  .describe('People with the role responder hold up the steps after it');

export const rotate = z.strictObject({});
export const deliver = z.strictObject({}).describe('Part of every rotation; here for the reader');
export const rollout = z.strictObject({
  waves: z
    .enum(['all-at-once', 'as-declared'])
    .default('all-at-once')
    .describe('Consumers of all waves move at once, or wave by wave as the policy says'),
  maxMoving: z.int().min(1).max(1000).default(50).describe('But never more than that at once'),
  deadline: duration({ min: 1_000, max: 30 * DAY_MS })
    .optional()
    .describe('The rotation that answers must end within; that of the policy when absent'),
});
export const prove = z.strictObject({}).describe('Part of every rotation; here for the reader');

export const related = z.strictObject({
  policies: z
    .enum(['report', 'rotate'])
    .default('report')
    .describe('What shares its store path, account or consumers'),
});

export const customHttp = z
  .strictObject({
    url: httpUrl,
    secretFrom: fromFile,
    timeout: duration({ min: 100, max: 60_000 }).default(10_000),
  })
  .describe('A POST, signed as Standard Webhooks have it');

const LAMBDA_NAME = /^[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]{1,128})?$/;
const LAMBDA_ARN =
  /^arn:aws[a-z-]*:lambda:([a-z]{2}(?:-[a-z]+)+-\d+):\d{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]{1,128})?$/;
const { profile, roleArn, externalId, endpoint, region } = awsFields;

export const customFunction = z
  .strictObject({
    name: z
      .string()
      .refine(
        (name) => LAMBDA_NAME.test(name) || LAMBDA_ARN.test(name),
        'needs a name or the ARN of a function',
      )
      .describe('Name or ARN, with `:version` or `:alias` where one is meant'),
    timeout: duration({ min: 100, max: 900_000 }).default(30_000),
    host: z
      .strictObject({ url: httpUrl, tokenFrom: fromFile.optional() })
      .optional()
      .describe('Where `rotor functions serve` listens; AWS Lambda when absent'),
    aws: z
      .strictObject({ region, endpoint, profile, roleArn, externalId })
      .optional()
      .describe(
        "Where AWS Lambda is and as whom it is called; the SDK's own environment decides what is absent",
      ),
  })
  .refine(({ host, aws }) => host === undefined || aws === undefined, 'needs `host` or `aws`, not both')
  .refine(({ host, name }) => host === undefined || LAMBDA_NAME.test(name), {
    path: ['name'],
    message: 'needs the name that the function has at its host',
  })
  .transform((spec) => ({ ...spec, region: spec.aws?.region ?? LAMBDA_ARN.exec(spec.name)?.[1] }))
  .describe("A function, by Lambda's Invoke API");

export const customVault = z
  .strictObject({
    ...vaultServer,
    revokePrefix: z
      .string()
      .regex(/^[\w.-]+(\/[\w.-]+)+$/, 'needs a form like "database/creds/orders"')
      .refine(...noDotSegments)
      .optional()
      .describe('Every lease under it is revoked: all that Vault has given out of that role'),
    rotateRoot: z
      .string()
      .regex(/^([\w.-]+\/)+[\w.-]+$/, 'needs the mount and a connection, such as "database/shop"')
      .refine(...noDotSegments)
      .optional()
      .describe("The connection's own user gets a password that nobody but Vault knows"),
    timeout: duration({ min: 100, max: 900_000 }).default(30_000),
  })
  .refine(({ revokePrefix, rotateRoot }) => (revokePrefix === undefined) !== (rotateRoot === undefined), {
    error: 'needs exactly one of: revokePrefix, rotateRoot',
  })
  .describe('Vault revokes what it has given out, or changes its own password at a database');

const CUSTOM = [
  { kind: 'http', schema: customHttp },
  { kind: 'function', schema: customFunction },
  { kind: 'vault', schema: customVault },
] as const;

export const custom = keyed(CUSTOM, {});

export const evidence = z.strictObject({
  directory: z
    .string()
    .max(4_096)
    .regex(/^\/[^\0]*$/, 'needs an absolute path')
    .describe('Where the bundle is written, as JSON and as a page'),
});

export const resolve = z.strictObject({
  github: z.strictObject({
    tokenFrom: fromFile,
    resolution: z.enum(['revoked', 'false_positive', 'wont_fix', 'used_in_tests']).default('revoked'),
    apiUrl: httpUrl.default('https://api.github.com'),
  }),
});

const MOMENTS = ['opened', 'approval', 'contained', 'proven', 'failed'] as const;

const smtp = z
  .strictObject({
    host: z.string().min(1).max(253),
    port: z.int().min(1).max(65_535).optional().describe('587, or 465 with `tls: tls`, when absent'),
    from: z.email(),
    to: z.array(z.email()).min(1).max(50),
    userFrom: fromFile.optional(),
    passwordFrom: fromFile.optional(),
    tls: z
      .enum(['starttls', 'tls', 'none'])
      .default('starttls')
      .describe('Encrypted after a greeting, from the first byte, or not at all'),
    caFile: z.string().min(1).optional().describe('Authorities in the place of the known ones'),
  })
  .superRefine(({ userFrom, passwordFrom, tls }, context) => {
    if ((userFrom === undefined) !== (passwordFrom === undefined))
      context.addIssue({ code: 'custom', message: 'needs both `userFrom` and `passwordFrom`, or neither' });
    if (passwordFrom && tls === 'none')
      context.addIssue({ code: 'custom', path: ['tls'], message: 'must not be none with a password' });
  });

export const notify = z.strictObject({
  on: z.array(z.enum(MOMENTS)).min(1).max(MOMENTS.length).default(['opened', 'approval', 'proven', 'failed']),
  webhook: z
    .strictObject({ url: httpUrl, secretFrom: fromFile })
    .optional()
    .describe('Signed as Standard Webhooks have it'),
  slack: z
    .strictObject({ urlFrom: fromFile })
    .optional()
    .describe('An incoming webhook, whose address is its secret'),
  smtp: smtp.optional().describe('E-mail'),
});

const STEPS = [
  { kind: 'contain', schema: contain },
  { kind: 'approve', schema: approve },
  { kind: 'rotate', schema: rotate },
  { kind: 'deliver', schema: deliver },
  { kind: 'rollout', schema: rollout },
  { kind: 'prove', schema: prove },
  { kind: 'related', schema: related },
  { kind: 'custom', schema: custom },
  { kind: 'evidence', schema: evidence },
  { kind: 'resolve', schema: resolve },
  { kind: 'notify', schema: notify },
] as const;

export type StepKind = (typeof STEPS)[number]['kind'];

/** What a rotation does, in its order: where they are named at all, they come after `rotate`. */
const OF_ROTATION: readonly string[] = ['rotate', 'deliver', 'rollout', 'prove'];

/** `spec` of a Runbook: what an incident does about a credential, step by step, each where its condition fits. */
export const runbookSpec = z.strictObject({
  steps: z
    .array(keyed(STEPS, { when: when.optional() }))
    .min(1)
    .max(50)
    .superRefine((steps, context) => {
      const problem = (message: string, path: (string | number)[] = []) =>
        context.addIssue({ code: 'custom', path, message });
      if (!steps.some(({ kind, when: condition }) => kind === 'rotate' && condition === undefined))
        problem('needs a `rotate` without a condition: consumers of a leaked credential need a new one');
      let reached = -1;
      for (const [index, { kind }] of steps.entries()) {
        const place = OF_ROTATION.indexOf(kind);
        if (place > 0 && (reached < 0 || place < reached))
          problem(`${kind} is part of the rotation: rotate, deliver, rollout, prove, in this order`, [index]);
        if (place >= 0) reached = Math.max(reached, place);
      }
    }),
});

export interface RunbookStep {
  readonly kind: string;
  readonly spec: unknown;
  readonly when?: z.output<typeof when> | undefined;
}

export type Notification = z.output<typeof notify>;
export type MailTarget = NonNullable<Notification['smtp']>;
export type CustomHttp = z.output<typeof customHttp>;
export type CustomVault = z.output<typeof customVault>;
export type CustomFunction = z.output<typeof customFunction>;
export type Resolve = z.output<typeof resolve>;
export type Approve = z.output<typeof approve>;
export type Rollout = z.output<typeof rollout>;
