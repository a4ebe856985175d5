import { lambdaInvoke, lambdaTimeoutMs } from '../../core/aws/lambda.ts';
import { errorOf, failureOf, type Invoker, type StepOutcome } from './invoke.ts';
import type { LambdaSpec } from './spec.ts';

/** A function of AWS Lambda, invoked and waited for. Once: what is repeated is the saga's to decide. */
export function lambdaInvoker({ name: asked, qualifier, ...aws }: LambdaSpec): Invoker {
  const name = `function ${asked}${qualifier ? `:${qualifier}` : ''}`;
  const lambda = { name: asked, qualifier, aws };
  return {
    name,
    limitMs: (call) => lambdaTimeoutMs(call.deadline, name, lambda),
    async invoke(call, event): Promise<StepOutcome> {
      const what = `${event.Step} of ${name}`;
      const { payload, failed } = await lambdaInvoke(call.deadline, what, lambda, JSON.stringify(event));
      if (!failed) return { ok: true };
      return failureOf(what, errorOf(payload) ?? { errorType: 'Error', errorMessage: '' });
    },
  };
}
