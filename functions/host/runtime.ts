import { writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type ErrorMessage, endLine, type InvokeMessage, type ProcessMessage } from './messages.ts';

// The program of a function's process: loads the module named by its first argument, and hands its export named by the
// second one event after the other. Events come over the pipe, never as arguments or variables, which others can read.

type Handler = (event: unknown, context: object) => unknown;

const [, , file = '', exported = 'handler'] = process.argv;

// Whoever started this process is gone: nobody would ever stop it.
process.on('disconnect', () => process.exit(0));

const handler = await load();
if (handler) {
  process.on('message', (message) => void invoke(handler, message as InvokeMessage));
  tell({ type: 'ready' });
}

async function load(): Promise<Handler | undefined> {
  try {
    const found: unknown = (await import(pathToFileURL(file).href))[exported];
    if (typeof found === 'function') return found as Handler;
    tell({
      type: 'unusable',
      error: {
        errorType: 'Runtime.HandlerNotFound',
        errorMessage: `the module exports no function "${exported}"`,
      },
    });
  } catch (error) {
    tell({ type: 'unusable', error: { ...describe(error), errorType: 'Runtime.ImportModuleError' } });
  }
  return undefined;
}

async function invoke(handler: Handler, message: InvokeMessage): Promise<void> {
  const { requestId, event, functionName, timeoutMs } = message;
  const endsAt = performance.now() + timeoutMs;
  const context = {
    awsRequestId: requestId,
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:local:000000000000:function:${functionName}`,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, endsAt - performance.now()),
  };
  try {
    const payload = JSON.stringify((await handler(JSON.parse(event), context)) ?? null);
    finish(requestId, { type: 'returned', requestId, payload });
  } catch (error) {
    finish(requestId, { type: 'failed', requestId, error: describe(error) });
  }
}

/** What was written before the answer also arrives before it counts. */
function finish(requestId: string, answer: ProcessMessage): void {
  for (const stream of [1, 2]) {
    try {
      writeSync(stream, `${endLine(requestId)}\n`);
    } catch {
      // A full or closed pipe: the host waits for the line only a moment.
    }
  }
  tell(answer);
}

function describe(error: unknown): ErrorMessage {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error) };
  const { kind } = error as { kind?: unknown };
  return {
    errorType: error.name,
    errorMessage: error.message,
    ...(typeof kind === 'string' ? { kind } : {}),
  };
}

function tell(message: ProcessMessage): void {
  process.send?.(message);
}
