import { randomUUID } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';

/**
 * A double for what emulators of AWS leave out: it stands in front of one, passes everything on, and answers in AWS's
 * place, as AWS documents, where a test asks for it (JSON 1.1: `__type`, `message`, `x-amzn-requestid`). It says what it
 * is in the header `x-rotor-double`.
 */
export interface AwsFront {
  readonly url: string;
  /** Operations that came by, in order (`PutSecretValue`), with AWS's answer or `cut`. */
  readonly seen: string[];
  /** Answers the next `times` calls of an operation itself. */
  answer(operation: string, refusal: Refusal, times?: number): void;
  /** Cuts the connection before the emulator gets the request, or after it has answered: once. */
  cut(operation: string, when: 'before' | 'after'): void;
  /** Changes the emulator's next answers to an operation, until it is called again without a change. */
  alter(operation: string, change?: (body: Record<string, unknown>) => Record<string, unknown>): void;
  /** Told before each request is passed on; what it returns is waited for. */
  before?: (operation: string, body: Record<string, unknown>) => Promise<void>;
  /** Told after the emulator has answered, before the caller hears of it. */
  after?: (operation: string, body: Record<string, unknown>) => Promise<void>;
  stop(): Promise<void>;
}

export interface Refusal {
  readonly status?: number;
  readonly type: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const THROTTLED: Refusal = { type: 'ThrottlingException', message: 'Rate exceeded' };
export const INTERNAL: Refusal = {
  status: 500,
  type: 'InternalServiceError',
  message: 'An error occurred on the server side.',
};

/** As IAM words it since 2021. */
export function denied(action: string, resource: string): Refusal {
  return {
    type: 'AccessDeniedException',
    message:
      `User: arn:aws:sts::123456789012:assumed-role/rotor/worker is not authorized to perform: ${action} ` +
      `on resource: ${resource} because no identity-based policy allows the ${action} action`,
  };
}

export async function startAwsFront(emulatorPort: number): Promise<AwsFront> {
  const refusals = new Map<string, { refusal: Refusal; times: number }>();
  const cuts = new Map<string, 'before' | 'after'>();
  const changes = new Map<string, (body: Record<string, unknown>) => Record<string, unknown>>();
  const seen: string[] = [];
  const front: AwsFront = {
    url: '',
    seen,
    answer: (operation, refusal, times = 1) => void refusals.set(operation, { refusal, times }),
    cut: (operation, when) => void cuts.set(operation, when),
    alter: (operation, change) => void (change ? changes.set(operation, change) : changes.delete(operation)),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse) => {
    const body = await bytesOf(incoming);
    const operation =
      String(incoming.headers['x-amz-target'] ?? '')
        .split('.')
        .at(-1) ?? '';
    const planned = refusals.get(operation);
    if (planned && planned.times > 0) {
      planned.times -= 1;
      seen.push(`${operation} ${planned.refusal.type}`);
      refuse(response, planned.refusal);
      return;
    }
    await front.before?.(operation, parsed(body));
    const cutting = cuts.get(operation);
    cuts.delete(operation);
    if (cutting === 'before') {
      seen.push(`${operation} cut`);
      incoming.socket.destroy();
      return;
    }
    const answer = await passOn(emulatorPort, incoming, body);
    await front.after?.(operation, parsed(body));
    seen.push(`${operation} ${cutting ? 'cut' : answer.status}`);
    if (cutting) {
      incoming.socket.destroy();
      return;
    }
    const change = answer.status === 200 ? changes.get(operation) : undefined;
    const text = change ? Buffer.from(JSON.stringify(change(parsed(answer.body)))) : answer.body;
    response.writeHead(answer.status, { ...headersOf(answer.type), 'content-length': text.length }).end(text);
  };

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return Object.assign(front, {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
  });
}

function refuse(response: ServerResponse, { status = 400, type, message, headers }: Refusal): void {
  response
    .writeHead(status, { ...headersOf('application/x-amz-json-1.1'), ...headers })
    .end(JSON.stringify({ __type: type, message }));
}

function headersOf(type: string): Record<string, string> {
  return {
    'content-type': type,
    'x-amzn-requestid': randomUUID(),
    'x-rotor-double': 'front of an emulator, not AWS',
  };
}

async function passOn(
  port: number,
  { method, url, headers }: IncomingMessage,
  body: Buffer,
): Promise<{ readonly status: number; readonly type: string; readonly body: Buffer }> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port, method, path: url, headers, agent: false }, resolve)
      .on('error', reject)
      .end(body);
  });
  const type = String(answer.headers['content-type'] ?? 'application/x-amz-json-1.1');
  return { status: answer.statusCode ?? 502, type, body: await bytesOf(answer) };
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function parsed(body: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(body.toString('utf8')) as Record<string, unknown>;
  } catch {
    return {};
  }
}
