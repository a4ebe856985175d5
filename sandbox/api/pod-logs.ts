import { open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { type KubeObject, objectsAt, textAt, valueAt } from './json.ts';
import { type ApiRequest, isTrue, type Target } from './request.ts';
import { badRequest, notFound, notInSandbox } from './status.ts';
import type { World } from './world.ts';

/** Where the node keeps what a container says. */
export type LogFile = (uid: string, container: string) => string;

const LOOK_EVERY_MS = 200;

/**
 * Answers `pods/<name>/log`: all that a container has said since its pod began, restarts included; with `follow` also what it
 * goes on to say until it ends. Of the options there are `container`, `follow`, `tailLines` and `limitBytes`.
 * @throws ApiError
 */
export async function sendLog(
  world: World,
  { type, namespace, name }: Target,
  { query }: ApiRequest,
  response: ServerResponse,
  logFile: LogFile | undefined,
): Promise<void> {
  if (!logFile) throw notInSandbox('no logs where no node runs beside its API server');
  const find = () => world.store.get(type.storage, namespace, name);
  const pod = find();
  if (!pod) throw notFound(type, name);
  if (isTrue(query.get('previous')))
    throw badRequest('the sandbox keeps one log for a container and its restarts: ask without previous');
  const container = containerOf(pod, query.get('container') ?? '');
  const { uid = '' } = pod.metadata;
  const text = await read(logFile(uid, container), 0);
  if (text === undefined)
    throw badRequest(
      `container "${container}" in pod "${name}" is waiting to start: ${waitingFor(pod, container)}`,
    );
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.write(cut(text, query));
  let at = text.length;
  let closed = false;
  response.once('close', () => {
    closed = true;
  });
  while (isTrue(query.get('follow')) && !closed) {
    const now = find();
    const more = now?.metadata.uid === uid ? await read(logFile(uid, container), at) : undefined;
    if (more && more.length > 0) response.write(more);
    at += more?.length ?? 0;
    if (more === undefined || (more.length === 0 && hasEnded(now, container))) break;
    await world.clock.sleep(LOOK_EVERY_MS);
  }
  response.end();
}

function containerOf(pod: KubeObject, asked: string): string {
  const names = (field: string) => objectsAt(pod, 'spec', field).map((each) => String(each.name));
  const [own, init] = [names('containers'), names('initContainers')];
  const { name } = pod.metadata;
  const [only, more] = own;
  if (asked === '' && only !== undefined && more === undefined) return only;
  if (asked === '') {
    const choice = `choose one of: [${own.join(' ')}]`;
    throw badRequest(`a container name must be specified for pod ${name}, ${choice}`);
  }
  if ([...own, ...init].includes(asked)) return asked;
  throw badRequest(`container ${asked} is not valid for pod ${name}`);
}

function statusOf(pod: KubeObject | undefined, container: string) {
  const all = [
    ...objectsAt(pod, 'status', 'containerStatuses'),
    ...objectsAt(pod, 'status', 'initContainerStatuses'),
  ];
  return all.find(({ name }) => name === container);
}

function waitingFor(pod: KubeObject, container: string): string {
  return textAt(statusOf(pod, container), 'state', 'waiting', 'reason') ?? 'ContainerCreating';
}

/** It won't be started again by what its status says. */
function hasEnded(pod: KubeObject | undefined, container: string): boolean {
  const phase = textAt(pod, 'status', 'phase');
  const over = phase === 'Succeeded' || phase === 'Failed';
  return over || valueAt(statusOf(pod, container), 'state', 'terminated') !== undefined;
}

function cut(text: Buffer, query: URLSearchParams): Buffer {
  const tail = Number(query.get('tailLines') ?? Number.NaN);
  const limit = Number(query.get('limitBytes') ?? Number.POSITIVE_INFINITY);
  if (!(tail >= 0)) return text.subarray(0, limit);
  const lines = text.toString('latin1').split('\n');
  const last = lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  const kept = tail === 0 ? '' : last.slice(-tail).join('\n');
  const end = kept !== '' && lines.at(-1) === '' ? '\n' : '';
  return Buffer.from(kept + end, 'latin1').subarray(0, limit);
}

/** From a byte on; undefined where there is no such file. */
async function read(path: string, from: number): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
