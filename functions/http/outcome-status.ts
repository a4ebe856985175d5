import type { Failed } from '../host/outcome.ts';

/**
 * The status that tells the platform whether to send the event again: 400 and 422 are final, 503 is worth another try
 * (Knative, Event Grid, Pub/Sub and Cloud Tasks all repeat 5xx and drop other 4xx).
 */
export function statusOf({ errorType, kind }: Failed): 400 | 422 | 503 {
  if (errorType === 'function.invalid-event') return 400;
  return kind === 'terminal' ? 422 : 503;
}
