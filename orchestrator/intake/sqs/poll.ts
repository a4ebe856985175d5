import { asRotorError, RotorError } from '../../../core/errors.ts';
import { backoffMs } from '../../../core/retry.ts';
import { queueFailures, queueMessages } from '../../../core/telemetry.ts';
import type { Orchestrator } from '../../operations/orchestrator.ts';
import { takeReports } from '../take.ts';
import { takeRequests } from '../take-requests.ts';
import { openQueue, type Queue, type Received } from './client.ts';
import { readQueueMessage } from './message.ts';
import type { SqsSettings } from './settings.ts';

/** A queue that is listened to. */
export interface ConfiguredQueue {
  readonly name: string;
  readonly settings: SqsSettings;
}

export interface Polling {
  /** Receives no more, and waits until what is in hand is committed and deleted. */
  stop(): Promise<void>;
}

const PAUSE = { baseMs: 1_000, maxMs: 60_000 };

/** What became of a message. `poison` and `failed` stay in the queue. */
type Fate = 'taken' | 'repeated' | 'nothing' | 'poison' | 'failed';

/**
 * Listens to a queue until it is stopped. A message is deleted once what it says is committed in the ledger; one that can't be
 * read stays for the queue's own redrive policy. While the ledger is out of reach nothing is received, so that no message uses
 * up the receives that its redrive policy allows.
 * @param open for tests
 */
export function pollQueue(
  orchestrator: Orchestrator,
  { name, settings }: ConfiguredQueue,
  open: (settings: SqsSettings) => Promise<Queue> = openQueue,
): Polling {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = listen(orchestrator, name, settings, open, signal);
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

async function listen(
  orchestrator: Orchestrator,
  name: string,
  settings: SqsSettings,
  open: (settings: SqsSettings) => Promise<Queue>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, ledger, log, random } = orchestrator;
  let queue: Queue | undefined;
  for (let failures = 0; !signal.aborted; ) {
    try {
      await ledger.query('SELECT');
      queue ??= await open(settings);
      const messages = await queue.receive(signal);
      if (await takeAll(orchestrator, name, settings, queue, messages)) failures = 0;
      else failures += 1;
    } catch (thrown) {
      if (signal.aborted) break;
      failures += 1;
      const error = asRotorError(thrown, `queue ${name}`);
      queueFailures().add(1, { queue: name, code: error.code });
      log.warn({ queue: name, err: error, failures }, 'the queue is not listened to; it is tried again');
    }
    if (failures > 0)
      await clock.sleep(backoffMs(failures, PAUSE, random.int(1_000) / 1_000), signal).catch(() => undefined);
  }
  queue?.close();
}

/** @returns whether all of them came to an end, if only as poison */
async function takeAll(
  orchestrator: Orchestrator,
  name: string,
  settings: SqsSettings,
  queue: Queue,
  messages: readonly Received[],
): Promise<boolean> {
  const { log, faults } = orchestrator;
  const done: Received[] = [];
  let failed = false;
  for (const message of messages) {
    await faults?.reach('queue:received');
    const fate = await take(orchestrator, name, settings, message);
    queueMessages().add(1, { queue: name, result: fate });
    if (fate === 'failed') failed = true;
    else if (fate !== 'poison') done.push(message);
  }
  if (done.length > 0) {
    await faults?.reach('queue:deleting');
    const left = await queue.remove(done);
    if (left.length > 0) log.warn({ queue: name, left }, 'some messages come again: they were not deleted');
  }
  return !failed;
}

async function take(
  orchestrator: Orchestrator,
  name: string,
  { ignoreFrom }: SqsSettings,
  { body, messageId, times }: Received,
): Promise<Fate> {
  const { log } = orchestrator;
  const source = `queue/${name}`;
  try {
    const message = readQueueMessage(body, messageId, ignoreFrom);
    if (message.kind === 'rotations')
      return (await takeRequests(orchestrator, source, message.deliveryId, message.requests))
        ? 'taken'
        : 'repeated';
    if (message.kind === 'reports') {
      await takeReports(orchestrator, source, message.deliveryId, message.reports);
      return 'taken';
    }
    const why = message.kind === 'nothing' ? message.why : message.kind;
    log.info({ queue: name, why }, 'a message had nothing to act on');
    return 'nothing';
  } catch (thrown) {
    const error = asRotorError(thrown, `message ${messageId}`);
    if (error instanceof RotorError && error.code === 'hook.replayed') return 'repeated';
    if (error.code === 'hook.malformed') {
      log.warn(
        { queue: name, messageId, times, err: error },
        'a message cannot be read; it is left to the redrive policy of the queue',
      );
      return 'poison';
    }
    log.warn({ queue: name, messageId, times, err: error }, 'a message was not taken; it comes again');
    return 'failed';
  }
}
