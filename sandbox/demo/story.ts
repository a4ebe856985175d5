import { systemClock } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import type { ApiClient } from '../../orchestrator/cli/client.ts';
import { type RotationJson, stepLine } from '../../orchestrator/cli/follow.ts';
import type { Fleet } from './fleet.ts';
import type { Child } from './processes.ts';
import type { Screen } from './screen.ts';
import { type Chapter, rolloutOf } from './summary.ts';
import { type App, CURRENCY, DEADLINE_SECONDS, JOBS, WEB } from './workloads.ts';

const ENDED = ['done', 'rolled-back', 'needs-human'];
/** What was on its way when a worker was stopped has arrived after that long. */
const STILL_MS = 100;
/** `progressDeadlineSeconds` where everybody waits for it to pass. */
const SHORT_DEADLINE_SECONDS = 6;

export interface Actors {
  readonly api: ApiClient;
  readonly screen: Screen;
  readonly fleet: Fleet;
  readonly workers: readonly Child[];
  /** One line about the clients, for the live picture. */
  status(): Promise<string>;
}

/** Said of each step the first time. */
const MEANINGS: Readonly<Record<string, string>> = {
  plan: 'reads provider, store and cluster, refuses early',
  generate: 'makes the new credential, stages it as pending',
  install: 'the provider accepts it, beside the old one',
  verify: 'logs in with it for real',
  publish: 'pending becomes current in the store',
  deliver: 'the Secret carries it',
  rollout: 'every pod is on it, and ready',
  settle: 'no session uses the old one any more',
  revoke: 'the old one is locked, its sessions end',
  prove: 'the old one is refused, the new one accepted',
};

/** Chapter one: nobody does anything, the schedule does. */
export async function scheduled(actors: Actors): Promise<Chapter> {
  const { api, screen } = actors;
  screen.say(
    '\n1. A rotation by schedule (every five seconds): the pods of jobs are replaced one by one (rolling)',
  );
  const before = actors.fleet.pods(JOBS);
  for (;;) {
    const { rotations } = await api.get<{ rotations: { id: string; trigger: string }[] }>('/v1/rotations');
    const found = rotations.find(({ trigger }) => trigger === 'schedule');
    if (found) {
      await api.post(`${pathOf(JOBS)}/pause`);
      return followed(actors, { app: JOBS, before, id: found.id, explained: true });
    }
    screen.live(`   waiting for the clock ... ${await actors.status()}`);
    await systemClock.sleep(100);
  }
}

/** So that Rotor knows the credential of an application when somebody reports it. Not shown: it is a rotation like the others. */
export async function knownToRotor(actors: Actors, app: App): Promise<void> {
  const { id } = await begin(actors, app);
  for (;;) {
    const { state } = await rotationOf(actors, id);
    if (state === 'done') return actors.fleet.untilSettled(app);
    if (ENDED.includes(state)) throw new Error(`the first rotation of ${app.name} ended ${state}`);
    await systemClock.sleep(200);
  }
}

export async function onDemand(actors: Actors): Promise<Chapter> {
  actors.screen.say(
    '\n2. A rotation on demand: web gets a green twin, then its Service is switched (blue/green)',
  );
  return followed(actors, await begin(actors, WEB));
}

/** Somebody has made a mistake that only new pods notice: the twin never becomes ready, and the rotation goes back. */
export async function failingRollout(actors: Actors): Promise<Chapter> {
  const { screen, fleet } = actors;
  screen.say(
    `\n3. A rollout that fails: with a mistake in a ConfigMap, no new pod of web becomes ready (it has ${SHORT_DEADLINE_SECONDS} s)`,
  );
  await fleet.setWeb('EURO', SHORT_DEADLINE_SECONDS);
  const chapter = await followed(actors, await begin(actors, WEB));
  await fleet.setWeb(CURRENCY, DEADLINE_SECONDS);
  const since = chapter.after.map(({ metadata, status }) => `${metadata.name} since ${status?.startTime}`);
  const touched = rolloutOf(chapter).untouched ? 'blue was never touched' : 'BLUE WAS TOUCHED';
  screen.say(`   ${touched}: ${since.join(', ')}`);
  return chapter;
}

/** The worker is killed with SIGKILL while it moves the pods; another one goes on. */
export async function killedWorker(actors: Actors, replace: () => Promise<unknown>): Promise<Chapter> {
  const { screen, workers, fleet } = actors;
  screen.say('\n4. A worker killed by kill -9 in the middle of a rotation of jobs');
  const beginning = await begin(actors, JOBS);
  const show = pictures(actors, JOBS);
  const known = new Set(beginning.before.map(({ metadata }) => metadata.uid));
  for (;;) {
    show();
    const rotation = await rotationOf(actors, beginning.id);
    if (ENDED.includes(rotation.state)) return followed(actors, beginning, show);
    const moving = fleet.pods(JOBS).some(({ metadata }) => !known.has(metadata.uid));
    const worker = workers.find(({ pid }) => holds(rotation, pid));
    if (moving && worker && rotation.step === 'rollout') {
      // Stopped, it can't let go of the rotation any more: killed now, it is killed in the middle.
      worker.kill('SIGSTOP');
      await systemClock.sleep(STILL_MS);
      if (holds(await rotationOf(actors, beginning.id), worker.pid)) {
        worker.kill('SIGKILL');
        screen.say(`   kill -9 ${worker.pid}, in step rollout`);
        const [chapter] = await Promise.all([followed(actors, beginning, show), replace()]);
        return chapter;
      }
      worker.kill('SIGCONT');
    }
    await systemClock.sleep(10);
  }
}

interface Beginning {
  readonly app: App;
  readonly before: Chapter['before'];
  /** Of the rotation. */
  readonly id: string;
  readonly explained?: boolean;
}

async function begin({ api, fleet }: Actors, app: App): Promise<Beginning> {
  const before = fleet.pods(app);
  const { rotation: id } = await api.post<{ rotation: string }>(`${pathOf(app)}/rotate`);
  return { app, before, id };
}

/** Shows the pods as they move, then the steps, then how it ended. */
async function followed(
  actors: Actors,
  { app, before, id, explained }: Beginning,
  show = pictures(actors, app),
): Promise<Chapter> {
  const { screen, fleet } = actors;
  for (;;) {
    show();
    const rotation = await rotationOf(actors, id);
    if (ENDED.includes(rotation.state)) {
      await fleet.untilSettled(app);
      show();
      for (const step of rotation.steps) {
        const meaning = explained ? (MEANINGS[step.step] ?? '') : '';
        screen.say(`   ${stepLine(step).padEnd(26)} ${meaning}`.trimEnd());
      }
      screen.say(`   ${verdict(rotation)}`);
      return { app, rotation, before, after: fleet.pods(app) };
    }
    const waiting = rotation.waitReason ? `\n   waiting: ${rotation.waitReason}` : '';
    screen.live(
      `${rotation.steps.map((step) => `   ${stepLine(step)}`).join('\n')}${waiting}\n   ${await actors.status()}`,
    );
    await systemClock.sleep(60);
  }
}

/** A line whenever the pods of an application look different. */
export function pictures({ screen, fleet }: Actors, app: App): () => void {
  let shown: string | undefined;
  return () => {
    const picture = fleet.picture(app);
    if (picture !== shown) screen.say(`   ${picture}`);
    shown = picture;
  };
}

export function rotationOf({ api }: Actors, id: string): Promise<RotationJson> {
  return api.get<RotationJson>(`/v1/rotations/${id}`);
}

function holds({ state, worker }: RotationJson, pid: number): boolean {
  return state === 'running' && Number(worker?.split('/').at(-1)) === pid;
}

function pathOf({ secret }: App): string {
  return `/v1/policies/default/${secret}`;
}

function verdict({ state, durationMs, recovered, proof, error }: RotationJson): string {
  const took = durationMs === undefined ? '' : ` in ${formatDuration(durationMs)}`;
  const told = [`${state}${took}`];
  if (recovered) told.push('a worker died, another went on');
  if (proof)
    told.push(
      `old credential ${proof.oldRefused ? 'refused' : 'STILL ACCEPTED'}, new one ${proof.newAccepted ? 'accepted' : 'REFUSED'}`,
    );
  if (error) told.push(error.what);
  return `=> ${told.join('; ')}`;
}
