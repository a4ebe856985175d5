import { randomUUID } from 'node:crypto';
import { foreignCode } from '../../core/errors.ts';
import { MissingConfiguration } from './configuration.ts';
import { type ContainerFacts, restartPauseMs, restarts } from './container-state.ts';
import type { Container } from './environment.ts';
import type { Settings } from './options.ts';
import { type ProbeTarget, probeOnce, runProbe } from './probe.ts';
import { type Exit, type LocalProcess, startProcess } from './process.ts';

/** A running container that lasted this long has its crashes forgiven. */
const FORGIVEN_AFTER_MS = 600_000;

/** Everything needed to start a container once; made anew for each start. */
export interface Launch {
  readonly argv: readonly string[];
  readonly logFile: string;
  readonly target: ProbeTarget;
}

export interface ContainerOptions {
  readonly settings: Settings;
  readonly spec: Container;
  readonly facts: ContainerFacts;
  readonly isInit: boolean;
  readonly restartPolicy: string | undefined;
  readonly records: string;
  readonly launch: () => Promise<Launch>;
  /** Resolves when a Secret or ConfigMap changed that may have been missing. */
  readonly configurationChanged: () => Promise<void>;
  readonly onChange: () => void;
}

/** One container: starts its process, watches it with probes, and starts it again as the pod's policy says. */
export class ContainerRunner {
  readonly facts: ContainerFacts;
  readonly #options: ContainerOptions;
  readonly #ending = new AbortController();
  #process: LocalProcess | undefined;
  #target: ProbeTarget | undefined;
  #finished: Promise<Exit | undefined> = Promise.resolve(undefined);

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.facts = options.facts;
  }

  /** Resolves with the last exit when the container won't be started again; undefined when it never ran. */
  run(): Promise<Exit | undefined> {
    this.#finished = this.#run();
    return this.#finished;
  }

  /** The ordered end: the preStop hook and SIGTERM share the grace period, then SIGKILL. */
  async terminate(graceMs: number): Promise<void> {
    const { clock } = this.#options.settings;
    const until = clock.monotonicMs() + graceMs;
    this.#ending.abort();
    const running = this.#process;
    if (running) {
      const hook = this.#options.spec.lifecycle?.preStop;
      if (hook && this.#target && graceMs > 0) {
        if (hook.sleep) await clock.sleep(Math.min(graceMs, hook.sleep.seconds * 1000));
        else await probeOnce(hook, this.#target, graceMs);
      }
      running.terminate();
      const timer = new AbortController();
      // The API grants a moment even to those without any grace left.
      const left = graceMs === 0 ? 0 : Math.max(2_000, until - clock.monotonicMs());
      const kill = clock.sleep(Math.min(left, 2 ** 31 - 1), timer.signal).then(
        () => running.kill(),
        () => undefined,
      );
      await running.exited;
      timer.abort();
      await kill;
    }
    await this.#finished;
  }

  /** Shortens an end that has begun: the process is killed after this long. */
  hasten(graceMs: number): void {
    const running = this.#process;
    if (running) void this.#options.settings.clock.sleep(graceMs).then(() => running.kill());
  }

  async #run(): Promise<Exit | undefined> {
    const { settings, isInit, restartPolicy } = this.#options;
    const { clock } = settings;
    const { signal } = this.#ending;
    let crashes = 0;
    let last: Exit | undefined;
    while (!signal.aborted) {
      const launch = await this.#prepare();
      if (!launch || signal.aborted) break;
      const began = clock.monotonicMs();
      last = await this.#runOnce(launch);
      if (signal.aborted || !restarts(restartPolicy, isInit, last.exitCode)) break;
      crashes = clock.monotonicMs() - began >= FORGIVEN_AFTER_MS ? 1 : crashes + 1;
      const pause = restartPauseMs(crashes, settings.restartBackoff);
      this.facts.lastState = this.facts.state;
      if (pause > 0) {
        const message = `back-off ${Math.round(pause / 1000)}s restarting failed container=${this.facts.name}`;
        this.#wait('CrashLoopBackOff', message);
        await clock.sleep(pause, signal).catch(() => undefined);
        if (signal.aborted) break;
      }
      this.facts.restartCount += 1;
    }
    return last;
  }

  /** Gathers what a start needs, and waits while it can't be had. */
  async #prepare(): Promise<Launch | undefined> {
    const { settings, spec, configurationChanged, launch } = this.#options;
    const { signal } = this.#ending;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      const changed = configurationChanged();
      const pause = restartPauseMs(attempt + 1, settings.restartBackoff);
      try {
        const ready = await launch();
        return ready;
      } catch (error) {
        if (error instanceof MissingConfiguration) {
          this.#wait('CreateContainerConfigError', error.message);
          await Promise.race([changed, aborted(signal)]);
        } else if (error instanceof UnknownImage) {
          this.#wait(attempt === 1 ? 'ErrImagePull' : 'ImagePullBackOff', error.message);
          await settings.clock.sleep(pause, signal).catch(() => undefined);
        } else {
          this.#wait('CreateContainerError', `${spec.name}: ${foreignCode(error) ?? 'failed'}`);
          await Promise.race([changed, settings.clock.sleep(pause, signal).catch(() => undefined)]);
        }
      }
    }
    return undefined;
  }

  async #runOnce({ argv, logFile, target }: Launch): Promise<Exit> {
    const { clock, log } = this.#options.settings;
    const startedAt = seconds(clock.now());
    const containerID = `local://${randomUUID().replaceAll('-', '')}`;
    let exit: Exit;
    let message: string | undefined;
    const probing = new AbortController();
    try {
      const { env, cwd } = target;
      this.#process = await startProcess({ argv, env, cwd, logFile, records: this.#options.records });
      // The end came while the process was being started.
      if (this.#ending.signal.aborted) this.#process.kill();
      this.#target = target;
      Object.assign(this.facts, {
        containerID,
        imageID: `local://${this.facts.image}`,
        state: { running: { startedAt } },
        started: this.#options.spec.startupProbe === undefined,
        ready: false,
      });
      this.#probe(target, AbortSignal.any([probing.signal, this.#ending.signal]));
      this.#options.onChange();
      exit = await this.#process.exited;
    } catch (error) {
      log.warn({ container: this.facts.name, code: foreignCode(error) }, 'container could not be started');
      message = `failed to start: ${foreignCode(error) ?? 'unknown'}`;
      exit = { exitCode: 128 };
    } finally {
      probing.abort();
      this.#process = undefined;
    }
    const reason = message ? 'StartError' : exit.exitCode === 0 ? 'Completed' : 'Error';
    const finishedAt = seconds(clock.now());
    const why = message === undefined ? {} : { message };
    this.facts.state = { terminated: { ...exit, reason, ...why, startedAt, finishedAt, containerID } };
    this.facts.started = false;
    this.facts.ready = this.#options.isInit && exit.exitCode === 0;
    this.#options.onChange();
    return exit;
  }

  #probe(target: ProbeTarget, signal: AbortSignal): void {
    const { spec, settings, isInit } = this.#options;
    const { readinessProbe, livenessProbe, startupProbe } = spec;
    const { clock } = settings;
    const loop = (probe: typeof readinessProbe, onVerdict: (verdict: boolean) => void) => {
      if (probe) void runProbe({ probe, target, clock, signal, onVerdict });
    };
    const setReady = (ready: boolean) => {
      this.facts.ready = ready;
      this.#options.onChange();
    };
    const restart = (probe: typeof livenessProbe) => (verdict: boolean) => {
      if (!verdict) this.#killUnhealthy(probe?.terminationGracePeriodSeconds);
    };
    const onStarted = () => {
      this.facts.started = true;
      if (readinessProbe) loop(readinessProbe, setReady);
      else setReady(!isInit);
      loop(livenessProbe, restart(livenessProbe));
    };
    if (!startupProbe) {
      onStarted();
      return;
    }
    const startup = new AbortController();
    void runProbe({
      probe: startupProbe,
      target,
      clock,
      signal: AbortSignal.any([signal, startup.signal]),
      onVerdict: (verdict) => {
        startup.abort();
        if (verdict) onStarted();
        else restart(startupProbe)(false);
      },
    });
  }

  /** Ends the process; the pod's policy then starts it again. */
  #killUnhealthy(graceSeconds = 30): void {
    const running = this.#process;
    if (!running) return;
    this.#options.settings.log.info(
      { container: this.facts.name },
      'container is unhealthy and is restarted',
    );
    running.terminate();
    const { clock } = this.#options.settings;
    const gone = new AbortController();
    void running.exited.then(() => gone.abort());
    clock.sleep(graceSeconds * 1000, gone.signal).then(
      () => running.kill(),
      () => undefined,
    );
  }

  #wait(reason: string, message: string): void {
    this.facts.state = { waiting: { reason, message } };
    this.facts.ready = false;
    this.#options.onChange();
  }
}

/** No command line is known for an image. */
export class UnknownImage extends Error {
  override readonly name = 'UnknownImage';
}

/** A time as the API's plain timestamps have it: whole seconds. */
export function seconds(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
