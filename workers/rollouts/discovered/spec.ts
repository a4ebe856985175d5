import { z } from 'zod';
import { labelName, objectName } from '../../../core/kubernetes/names.ts';

const excluded = z.strictObject({
  kind: z.string().regex(/^[A-Z][A-Za-z0-9]{0,62}$/, 'must be a kind such as "ReplicaSet"'),
  name: objectName,
  namespace: labelName.optional().describe('In every namespace when absent'),
  acknowledged: z.literal(true, {
    error: 'must be true: nothing will prove that this workload has moved',
  }),
  reason: z.string().trim().min(1).describe('Repeated by every report'),
});

/** `consumers[].discovered` of a policy: whoever reads the Secret, found by itself. */
export const discoveredSpec = z.strictObject({
  secretName: objectName.describe('The delivered Secret whose readers are found'),
  namespaces: z.array(labelName).min(1).max(100).describe('Where it is delivered to'),
  context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
  exclude: z
    .array(excluded)
    .max(1000)
    .default([])
    .describe('Workloads for which somebody takes responsibility'),
  cronJobs: z.enum(['next-run']).default('next-run').describe('Their next run reads the new version'),
});

export type DiscoveredSpec = z.infer<typeof discoveredSpec>;
export type Excluded = DiscoveredSpec['exclude'][number];
