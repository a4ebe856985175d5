/** What host and function process say to each other over their pipe. */
export interface InvokeMessage {
  readonly requestId: string;
  /** JSON text. */
  readonly event: string;
  readonly functionName: string;
  readonly timeoutMs: number;
}

export interface ErrorMessage {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly kind?: string;
}

export type ProcessMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'unusable'; readonly error: ErrorMessage }
  | { readonly type: 'returned'; readonly requestId: string; readonly payload: string }
  | { readonly type: 'failed'; readonly requestId: string; readonly error: ErrorMessage };

/** The line that ends what an invocation wrote, on each of the two streams. */
export function endLine(requestId: string): string {
  return `END RequestId: ${requestId}`;
}
