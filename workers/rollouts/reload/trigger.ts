import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { httpRequest } from '../../../core/http.ts';
import { runCommand } from './command.ts';
import { sendSignal, signalledProcess } from './signal.ts';
import type { ReloadSpec } from './spec.ts';

/**
 * Tells the consumer to read its credential again. Reloading twice does no harm, so every failure may be repeated.
 * @returns what was done, for the proof
 * @throws RotorError `rollout.reload-failed`
 */
export async function reload(
  call: Call,
  consumer: string,
  via: ReloadSpec['via'],
  versionId: string,
): Promise<string> {
  call.deadline.assertTime(`reload consumer ${consumer}`);
  if ('signal' in via) {
    const pid = await signalledProcess(consumer, via.signal.pidFile);
    // Looked at again: reading the file took time, and a signal can't be taken back.
    call.deadline.assertTime(`reload consumer ${consumer}`);
    sendSignal(consumer, pid, via.signal.signal);
    return `${via.signal.signal} sent to process ${pid}`;
  }
  if ('command' in via) {
    const problem = await runCommand(call.deadline, via.command.run, { consumer, versionId });
    if (problem !== undefined) throw failed(consumer, problem);
    return `${via.command.run[0]} ended with exit code 0`;
  }
  const { url, method } = via.http;
  const status = await answerStatus(call, consumer, url, method);
  if (status >= 300) throw failed(consumer, `the reload was answered with status ${status}`);
  return `${method} ${new URL(url).origin} answered ${status}`;
}

async function answerStatus(call: Call, consumer: string, url: string, method: string): Promise<number> {
  try {
    return (await httpRequest(call.deadline, { url, method })).status;
  } catch (error) {
    if (error instanceof RotorError) throw failed(consumer, error.message, error);
    throw error;
  }
}

function failed(consumer: string, why: string, cause?: unknown): RotorError {
  return new RotorError('rollout.reload-failed', {
    what: `consumer ${consumer}: ${why}`,
    ...(cause === undefined ? {} : { cause }),
  });
}
