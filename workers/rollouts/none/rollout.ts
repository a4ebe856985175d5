import { z } from 'zod';
import type { ConsumerProof, Rollout } from '../rollout.ts';

/** `consumers[].none` of a policy: somebody takes responsibility, in words that every report repeats. */
export const noneSpec = z.strictObject({
  acknowledged: z.literal(true, { error: 'must be true: nothing will prove that this consumer has moved' }),
  reason: z.string().trim().min(1),
});

export type NoneSpec = z.infer<typeof noneSpec>;

/** For consumers that read the delivered file each time they need it: nothing to move, nothing that is seen. */
export const noneRollout: Rollout<NoneSpec> = {
  kind: 'none',
  spec: noneSpec,
  open: (consumer, { reason }) => ({
    consumer,
    plan: async () => undefined,
    move: async (): Promise<ConsumerProof> => ({
      consumer,
      healthy: true,
      version: 'acknowledged',
      detail: `not observed: the policy says that nothing has to be moved (${reason})`,
    }),
  }),
};
