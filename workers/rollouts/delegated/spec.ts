import { z } from 'zod';
import { objectName as name } from '../../../core/kubernetes/names.ts';
import { namingProblem, workloadFields } from '../named-workload.ts';
import { duration } from '../reload/spec.ts';

/** Who acts, in place of Rotor. */
const DELEGATES = ['reloader', 'external-secrets', 'vault-secrets-operator'] as const;

/** `consumers[].delegated` of a policy: exactly one of the three kinds of workload. */
export const delegatedSpec = z
  .strictObject({
    to: z
      .enum(DELEGATES)
      .describe(
        'reloader: restarts the pods when Rotor delivers; external-secrets: copies from the store, and Reloader restarts; vault-secrets-operator: copies and restarts',
      ),
    ...workloadFields,
    secretName: name.describe('The Secret that its pods read'),
    externalSecret: name
      .optional()
      .describe('The ExternalSecret that makes the Secret; `secretName` when absent'),
    vaultStaticSecret: name
      .optional()
      .describe('The VaultStaticSecret that makes the Secret; `secretName` when absent'),
    keys: z
      .record(z.string().min(1), z.string().min(1))
      .optional()
      .describe(
        'Key of the copied Secret: field of the credential it must equal; keys named like fields when absent',
      ),
    autoReloadAll: z
      .boolean()
      .default(false)
      .describe('Reloader runs with --auto-reload-all: it restarts workloads without any annotation too'),
    timeout: duration
      .default('10m')
      .describe('How long the delegate may take until all pods have started anew'),
  })
  .superRefine((spec, context) => {
    const problem = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const naming = namingProblem(spec);
    if (naming) problem([], naming);
    if (spec.externalSecret && spec.to !== 'external-secrets')
      problem(['externalSecret'], 'has a use with `to: external-secrets` only');
    if (spec.vaultStaticSecret && spec.to !== 'vault-secrets-operator')
      problem(['vaultStaticSecret'], 'has a use with `to: vault-secrets-operator` only');
    if (spec.keys && spec.to === 'reloader')
      problem(['keys'], 'has no use with `to: reloader`: Rotor delivers the Secret itself');
  });

export type DelegatedSpec = z.infer<typeof delegatedSpec>;
