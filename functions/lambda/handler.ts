import { systemClock } from '../../core/clock.ts';
import { asRotorError } from '../../core/errors.ts';
import { createLog, type Logger } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';
import type { Environment } from './environment.ts';
import { parseEvent } from './event.ts';
import { FunctionFailure } from './failure.ts';
import { decideReadiness } from './readiness.ts';
import { SecretsManager } from './secrets-manager.ts';
import { runStep } from './steps.ts';
import type { Strategy } from './strategy.ts';

/** What Lambda's Node.js runtime gives a handler, as far as it is used here. */
export interface FunctionContext {
  readonly awsRequestId: string;
  readonly getRemainingTimeInMillis: () => number;
}

export type RotationHandler = (event: unknown, context: FunctionContext) => Promise<null>;

export interface HandlerOptions {
  readonly env?: Environment;
  readonly log?: Logger;
}

/** Kept back from the time that Lambda gives, to tell what happened before Lambda ends the process. */
const TO_ANSWER_MS = 500;
/** There is no ledger here to number the workers: Secrets Manager alone decides whose turn it is. */
const NO_FENCE = 2n ** 63n - 1n;

/**
 * A rotation function for AWS Secrets Manager: the four steps, their checks and their repetition as AWS's own functions
 * have them. The handler throws {@link FunctionFailure}, whose name and message are what AWS's console shows.
 * @param name for logs
 */
export function createRotationHandler(
  name: string,
  strategy: Strategy,
  options: HandlerOptions = {},
): RotationHandler {
  const env = options.env ?? process.env;
  const log = options.log ?? createLog(name, { level: levelOf(env) });
  let manager: SecretsManager | undefined;
  return async (event, context) => {
    const about = { requestId: context.awsRequestId };
    try {
      const parsed = parseEvent(event);
      const { secretId, versionId, step } = parsed;
      const turnLog = log.child({ ...about, secretId, versionId, step });
      const deadline = Deadline.following(() => context.getRemainingTimeInMillis() - TO_ANSWER_MS);
      manager ??= new SecretsManager(env);
      const state = await manager.describe(secretId, deadline);
      if (decideReadiness(state, parsed) === 'done-already') {
        turnLog.info('nothing to do: the version is AWSCURRENT already');
        return null;
      }
      const opened = manager;
      const turn = {
        call: { deadline, fence: NO_FENCE, clock: systemClock, random: cryptoRandom, log: turnLog },
        env,
        secretId,
        versionId,
        readOther: (other: string) => opened.read(other, 'AWSCURRENT', deadline),
      };
      turnLog.info(await runStep(manager, strategy, turn, parsed, state));
      return null;
    } catch (thrown) {
      const error = asRotorError(thrown, `function ${name}`);
      log.error({ ...about, err: error }, 'the step failed');
      throw new FunctionFailure(error);
    }
  };
}

/** A word that is none is no reason to leave a password unrotated. */
function levelOf({ LOG_LEVEL }: Environment): string {
  const word = LOG_LEVEL?.toLowerCase() ?? '';
  return ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].includes(word) ? word : 'info';
}
