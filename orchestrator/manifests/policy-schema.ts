import { z } from 'zod';
import { duration } from '../../core/duration-schema.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { scheduleSchema } from '../schedule/schedule.ts';
import { keyed } from './keyed.ts';
import type { PolicySpec } from './manifest.ts';
import { resourceName } from './names.ts';

const DEFAULT_GRACE_MS = 10_000;

const settle = z
  .strictObject({
    grace: duration().optional().describe('Keep the old credential at least this long'),
    evidence: z.enum(['sessions', 'time-only']).default('sessions').describe('What proves that it is unused'),
    timeout: duration({ min: 1000 }).default(3_600_000).describe('Wait this long for the evidence'),
    onTimeout: z.enum(['roll-back', 'needs-human']).default('roll-back'),
  })
  .transform(({ grace, timeout, ...rest }) => ({
    ...rest,
    // A login that is under way is no session yet: evidence needs a moment to show itself.
    graceMs: grace ?? Math.min(DEFAULT_GRACE_MS, timeout),
    timeoutMs: timeout,
  }));

const rollout = z
  .strictObject({
    maxMoving: z.int().min(1).max(1000).default(1).describe('Consumers that may be on their way at once'),
    pauseBetweenWaves: duration()
      .default(0)
      .describe('From the proof of one wave to the beginning of the next'),
    coalesce: duration({ max: 3_600_000 })
      .default(0)
      .describe('Wait this long for other credentials of the same workload, to share one rollout'),
  })
  .transform(({ maxMoving, pauseBetweenWaves, coalesce }) => ({
    maxMoving,
    pauseMs: pauseBetweenWaves,
    coalesceMs: coalesce,
  }));

const apart = z
  .strictObject({
    from: z.array(resourceName).min(1).max(50).describe('Names of policies in the same namespace'),
    atLeast: duration({ min: 1000 }),
  })
  .transform(({ from, atLeast }) => ({ from, atLeastMs: atLeast }));

const storePath = z
  .string()
  .min(1)
  .max(200)
  .regex(
    /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/,
    'needs letters, digits and "_.-", in parts separated by "/"',
  )
  .refine(
    (path) => !path.split('/').some((part) => /^\.+$/.test(part)),
    'must not have the parts "." or ".."',
  );

/** Schema of `RotationPolicy.spec`; its output is a {@link PolicySpec}. */
export function policySpec({ rotators, deliveries, rollouts }: Registries) {
  const credentials = rotators.map(({ kind, credential }) => ({ kind, schema: credential }));
  const withProvider = rotators.filter(({ provider }) => provider !== undefined).map(({ kind }) => kind);
  const bySpec = ({ kind, spec }: { readonly kind: string; readonly spec: z.ZodType }) => ({
    kind,
    schema: spec,
  });
  return z
    .strictObject({
      provider: resourceName.optional().describe('Name of a Provider in the same namespace'),
      credential: keyed(credentials, {}),
      initialFrom: z
        .strictObject({ file: z.string().min(1).describe('JSON document of the credential in use today') })
        .optional(),
      store: z.strictObject({ name: resourceName.default('local'), path: storePath }),
      deliver: z
        .array(keyed(deliveries.map(bySpec), {}))
        .max(100)
        .default([]),
      consumers: z
        .array(
          keyed(rollouts.map(bySpec), {
            name: resourceName,
            wave: z.int().min(0).max(1000).optional().describe('Lower ones move first'),
          }),
        )
        .max(1000)
        .default([]),
      drift: z
        .enum(['repair', 'report', 'ignore'])
        .default('repair')
        .describe('When somebody else changes or removes what was delivered, between rotations'),
      rollout: rollout.optional(),
      schedule: scheduleSchema.optional(),
      settle: settle.prefault({}),
      deadline: duration({ min: 1000 })
        .default(6 * 3_600_000)
        .describe('The whole rotation must end within'),
      apart: apart.optional(),
      suspend: z.boolean().default(false),
      onCompromise: z
        .strictObject({ runbook: resourceName.describe('Name of a Runbook in the same namespace') })
        .optional(),
    })
    .superRefine((spec, context) => {
      const problem = (path: (string | number)[], message: string) =>
        context.addIssue({ code: 'custom', path, message });
      // Runs on credentials with problems of their own too, and those have no kind.
      const kind: string | undefined = spec.credential.kind;
      const needed = withProvider.includes(kind);
      if (kind && needed && !spec.provider) problem(['provider'], 'is required for this kind of credential');
      if (kind && !needed && spec.provider) problem(['provider'], 'has no use for this kind of credential');
      if (spec.settle.graceMs >= spec.deadline)
        problem(['settle', 'grace'], 'must be shorter than `deadline`');
      if (spec.settle.graceMs > spec.settle.timeoutMs) {
        problem(['settle', 'grace'], 'must not be longer than `settle.timeout`');
      }
      const names = spec.consumers.map(({ name }) => name);
      for (const [index, name] of names.entries()) {
        if (names.indexOf(name) < index)
          problem(['consumers', index, 'name'], 'is taken by a consumer above');
      }
    })
    .transform(({ deadline, ...rest }): PolicySpec => ({ ...rest, deadlineMs: deadline }));
}
