/** How an invocation ended. Whatever went wrong inside of a function is an answer too, as it is at Lambda. */
export type Outcome = Returned | Failed;

export interface Returned {
  readonly ok: true;
  /** JSON text. */
  readonly payload: string;
  /** What the function wrote during the invocation, at most its last 4 KB. */
  readonly log: string;
}

export interface Failed {
  readonly ok: false;
  readonly errorType: string;
  readonly errorMessage: string;
  /** Whether the same event may be sent again with hope; undefined when the function doesn't say. */
  readonly kind: 'retryable' | 'terminal' | 'ambiguous' | undefined;
  readonly log: string;
}

/** Every process of the function is busy: nothing has happened. */
export class TooManyInvocations extends Error {}

/** The body of a failed invocation, in Lambda's form; without a stack, which is nobody's business outside. */
export function errorBody({ errorType, errorMessage }: Failed): string {
  return JSON.stringify({ errorType, errorMessage });
}
