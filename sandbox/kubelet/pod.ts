import { join } from 'node:path';
import { foreignCode } from '../../core/errors.ts';
import { type Api, reasonOf, statusOf } from '../controllers/client/api.ts';
import { PODS } from '../controllers/client/kinds.ts';
import type { Pod, PodStatus } from '../controllers/client/wire.ts';
import { type Lookup, MissingConfiguration } from './configuration.ts';
import { ContainerRunner, type Launch, seconds, UnknownImage } from './container.ts';
import { newContainer } from './container-state.ts';
import { type Container, resolveEnvironment } from './environment.ts';
import { expand } from './expansion.ts';
import type { Settings } from './options.ts';
import { PodFolder } from './pod-folder.ts';
import { podStatus, sameStatus, withForeignConditions } from './pod-status.ts';
import { allocatePorts, PORTS_ANNOTATION, type PortMap, portVariables, releasePorts } from './ports.ts';
import { StatusWriter } from './status-writer.ts';

export interface PodContext {
  readonly api: Api;
  readonly settings: Settings;
  readonly lookup: (namespace: string) => Lookup;
}

const DEFAULT_GRACE_SECONDS = 30;

/** One pod on this node, from its first volume to the removal of its object. */
export class PodRunner {
  readonly #context: PodContext;
  readonly #folder: PodFolder;
  readonly #init: readonly ContainerRunner[];
  readonly #containers: readonly ContainerRunner[];
  readonly #writer: StatusWriter;
  readonly #startTime: string;
  #pod: Pod;
  #before: PodStatus;
  #ports: PortMap = {};
  #graceSeconds = Number.POSITIVE_INFINITY;
  #ending: Promise<void> | undefined;
  #changed = Promise.withResolvers<void>();
  #started: Promise<void>;
  #refreshed: Promise<void> = Promise.resolve();

  constructor(pod: Pod, context: PodContext) {
    this.#pod = pod;
    this.#context = context;
    const { settings, api } = context;
    this.#folder = new PodFolder(settings.folder, pod.metadata.uid);
    this.#startTime = pod.status?.startTime ?? seconds(settings.clock.now());
    this.#before = pod.status ?? {};
    this.#writer = new StatusWriter(() => this.#writeStatus(api), settings);
    const first = (pod.spec.initContainers ?? []).length > 0 ? 'PodInitializing' : 'ContainerCreating';
    this.#init = (pod.spec.initContainers ?? []).map((spec) => this.#runner(spec, true, 'PodInitializing'));
    this.#containers = pod.spec.containers.map((spec) => this.#runner(spec, false, first));
    const begun = pod.metadata.deletionTimestamp ? Promise.resolve() : this.#run();
    this.#started = begun.catch((error: unknown) => {
      settings.log.error({ pod: pod.metadata.name, reason: reasonOf(error) }, 'pod could not be run');
    });
  }

  /** Takes over the pod's object as it is now; a deletion begins its end. */
  update(pod: Pod): void {
    this.#pod = pod;
    if (pod.spec.readinessGates?.length) {
      this.#before = withForeignConditions(this.#before, pod.status);
      this.#writer.mark();
    }
    const grace = pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds;
    if (pod.metadata.deletionTimestamp) void this.end(grace ?? DEFAULT_GRACE_SECONDS, true);
  }

  /** Something the pod reads has changed. */
  configurationChanged(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    // One after the other: two writers of one volume, or one beside the removal of the files, would trip each other up.
    this.#refreshed = this.#refreshed.then(() => this.#refresh());
  }

  async #refresh(): Promise<void> {
    const { settings } = this.#context;
    await this.#started;
    if (this.#ending) return;
    try {
      await this.#writeVolumes();
    } catch (error) {
      // A kubelet leaves the old files where they are when a source is gone.
      settings.log.info(
        { pod: this.#pod.metadata.name, reason: reasonOf(error) },
        'volumes stay as they are',
      );
    }
  }

  /** Ends all containers; with `remove`, says so and removes the pod's object and files. */
  end(graceSeconds: number, remove: boolean): Promise<void> {
    if (this.#ending && graceSeconds < this.#graceSeconds)
      for (const container of this.#all()) container.hasten(graceSeconds * 1000);
    this.#graceSeconds = Math.min(this.#graceSeconds, graceSeconds);
    this.#ending ??= this.#end(graceSeconds, remove);
    return this.#ending;
  }

  async #end(graceSeconds: number, remove: boolean): Promise<void> {
    const { api, settings } = this.#context;
    // A node that stops says nothing of the pods it ends: the next run starts them again.
    const silent = remove ? undefined : this.#writer.close();
    this.#changed.resolve();
    await this.#started;
    await Promise.all(this.#all().map((container) => container.terminate(graceSeconds * 1000)));
    await this.#refreshed;
    releasePorts(this.#ports);
    if (!remove) return silent;
    this.#writer.mark();
    await this.#writer.close();
    const { metadata } = this.#pod;
    await this.#folder.remove().catch((error: unknown) => {
      settings.log.warn(
        { pod: metadata.name, code: foreignCode(error) },
        'files of an ended pod stay behind',
      );
    });
    await api.delete(PODS, metadata, { gracePeriodSeconds: 0, uid: metadata.uid }).catch((error: unknown) => {
      if (statusOf(error) !== 404 && statusOf(error) !== 409)
        settings.log.warn({ pod: metadata.name, reason: reasonOf(error) }, 'ended pod could not be removed');
    });
  }

  #all(): readonly ContainerRunner[] {
    return [...this.#init, ...this.#containers];
  }

  async #run(): Promise<void> {
    const { settings, api } = this.#context;
    this.#ports = await allocatePorts(this.#pod, settings.address);
    if (Object.keys(this.#ports).length > 0) {
      const annotations = { [PORTS_ANNOTATION]: JSON.stringify(this.#ports) };
      await api.patch(PODS, this.#pod.metadata, { metadata: { annotations } });
    }
    this.#writer.mark();
    while (!this.#ending) {
      const changed = this.#changed.promise;
      try {
        await this.#writeVolumes();
        break;
      } catch (error) {
        if (!(error instanceof MissingConfiguration)) throw error;
        settings.log.info({ pod: this.#pod.metadata.name, reason: error.message }, 'waits for its volumes');
        await changed;
      }
    }
    void this.#runContainers();
  }

  async #runContainers(): Promise<void> {
    for (const container of this.#init) {
      if (this.#ending) return;
      const exit = await container.run();
      if (exit?.exitCode !== 0) return;
    }
    if (!this.#ending) await Promise.all(this.#containers.map((container) => container.run()));
  }

  #runner(spec: Container, isInit: boolean, waiting: string): ContainerRunner {
    const { settings } = this.#context;
    const key = isInit ? 'initContainerStatuses' : 'containerStatuses';
    const known = this.#pod.status?.[key]?.find(({ name }) => name === spec.name);
    // A container that ran before the node restarted has been restarted by it.
    const restarted = known?.state?.running ? 1 : 0;
    const count = (known?.restartCount ?? 0) + restarted;
    return new ContainerRunner({
      settings,
      spec,
      isInit,
      facts: newContainer(spec.name, spec.image ?? '', waiting, count),
      restartPolicy: this.#pod.spec.restartPolicy,
      records: join(settings.folder, 'processes'),
      launch: () => this.#launch(spec),
      configurationChanged: () => this.#changed.promise,
      onChange: () => this.#writer.mark(),
    });
  }

  async #launch(spec: Container): Promise<Launch> {
    const { settings } = this.#context;
    const image = spec.image ?? '';
    const prefix = settings.images[image];
    if (!prefix) throw new UnknownImage(`no command is known for image "${image}"`);
    const { address, nodeName } = settings;
    const lookup = this.#context.lookup(this.#pod.metadata.namespace);
    const asked = resolveEnvironment(spec, this.#pod, lookup, { podIP: address, nodeName });
    const root = this.#folder.root(spec.name);
    const env = {
      PATH: process.env.PATH ?? '',
      HOSTNAME: this.#pod.metadata.name,
      ...portVariables(this.#ports),
      ...asked,
      ROTOR_SANDBOX_ADDRESS: address,
      ROTOR_SANDBOX_ROOT: root,
    };
    await this.#folder.mount(this.#pod, spec, env);
    const words = [...(spec.command ?? []), ...(spec.args ?? [])].map((word) => expand(word, env));
    return {
      argv: [...prefix, ...words],
      logFile: this.#folder.logFile(spec.name),
      target: {
        address,
        ports: this.#ports,
        env,
        cwd: spec.workingDir ?? root,
        command: (command) => (command[0]?.includes('/') ? command : [...prefix, ...command]),
      },
    };
  }

  #writeVolumes(): Promise<void> {
    const { settings, lookup } = this.#context;
    const { address, nodeName } = settings;
    return this.#folder.writeVolumes(this.#pod, lookup(this.#pod.metadata.namespace), {
      podIP: address,
      nodeName,
    });
  }

  async #writeStatus(api: Api): Promise<void> {
    const { clock, address } = this.#context.settings;
    const status = podStatus({
      pod: this.#pod,
      init: this.#init.map(({ facts }) => facts),
      containers: this.#containers.map(({ facts }) => facts),
      address,
      startTime: this.#startTime,
      now: seconds(clock.now()),
      terminating: this.#ending !== undefined,
      before: this.#before,
    });
    if (sameStatus(this.#before, status)) return;
    const written = await api.patch(PODS, this.#pod.metadata, { status }, 'status');
    this.#before = written.status ?? status;
  }
}
