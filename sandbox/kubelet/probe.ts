import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { Container } from './environment.ts';
import type { PortMap } from './ports.ts';
import { NO_RESULTS, tally } from './probe-decision.ts';

export type Probe = NonNullable<Container['readinessProbe']>;
type Action = Pick<Probe, 'httpGet' | 'tcpSocket' | 'exec'>;

export interface ProbeTarget {
  readonly address: string;
  readonly ports: PortMap;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Turns a command of the spec into one of this machine. */
  readonly command: (command: readonly string[]) => readonly string[];
}

/** Asks a container once. Anything but a clear yes is a no. */
export async function probeOnce(action: Action, target: ProbeTarget, timeoutMs: number): Promise<boolean> {
  const { httpGet, tcpSocket, exec } = action;
  if (httpGet) {
    const scheme = (httpGet.scheme ?? 'HTTP').toLowerCase();
    const host = httpGet.host ?? target.address;
    const url = `${scheme}://${host}:${realPort(httpGet.port, target.ports)}${httpGet.path ?? '/'}`;
    const headers = Object.fromEntries((httpGet.httpHeaders ?? []).map(({ name, value }) => [name, value]));
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const answer = await fetch(url, { headers, signal, redirect: 'manual' });
      await answer.body?.cancel();
      return answer.status >= 200 && answer.status < 400;
    } catch {
      return false;
    }
  }
  if (tcpSocket) return opens(Number(realPort(tcpSocket.port, target.ports)), target.address, timeoutMs);
  if (exec) return runs(target, exec.command ?? [], timeoutMs);
  return true;
}

/** The port on this machine behind a declared name or number; one that isn't declared stays as it is. */
export function realPort(port: number | string, ports: PortMap): number | string {
  return ports[port] ?? port;
}

function opens(port: number, host: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: timeoutMs });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

function runs(target: ProbeTarget, command: readonly string[], timeoutMs: number): Promise<boolean> {
  const [file, ...args] = target.command(command);
  if (file === undefined) return Promise.resolve(false);
  const options = { env: { ...target.env }, cwd: target.cwd, timeout: timeoutMs };
  return new Promise((resolve) => {
    execFile(file, args, options, (error) => resolve(error === null));
  });
}

export interface ProbeLoop {
  readonly probe: Probe;
  readonly target: ProbeTarget;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told whenever the verdict is reached or changes. */
  readonly onVerdict: (verdict: boolean) => void;
}

/** Asks again and again until the signal ends it. */
export async function runProbe({ probe, target, clock, signal, onVerdict }: ProbeLoop): Promise<void> {
  const thresholds = {
    failureThreshold: probe.failureThreshold ?? 3,
    successThreshold: probe.successThreshold ?? 1,
  };
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  let state = NO_RESULTS;
  try {
    await clock.sleep((probe.initialDelaySeconds ?? 0) * 1000, signal);
    while (!signal.aborted) {
      const success = await probeOnce(probe, target, timeoutMs);
      if (signal.aborted) return;
      const next = tally(state, success, thresholds);
      if (next.verdict !== undefined && next.verdict !== state.verdict) onVerdict(next.verdict);
      state = next;
      await clock.sleep(periodMs, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
