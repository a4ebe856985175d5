import { formatDuration } from '../../core/duration.ts';
import type { ApiClient } from '../../orchestrator/cli/client.ts';
import { type RotationJson, stepLine } from '../../orchestrator/cli/follow.ts';
import { POLICY } from './manifests.ts';
import type { Child } from './processes.ts';
import type { Screen } from './screen.ts';

const PATH = `/v1/policies/default/${POLICY}`;
const ENDED = ['done', 'rolled-back', 'needs-human'];

export interface Actors {
  readonly api: ApiClient;
  readonly screen: Screen;
  readonly clients: readonly { readonly name: string; readonly url: string }[];
  readonly workers: Child[];
  /** One line about the clients, for the live picture. */
  status(): Promise<string>;
}

/** Chapter one: nobody does anything, the schedule does. */
export async function scheduled(actors: Actors): Promise<RotationJson> {
  actors.screen.say('\n1. A rotation by schedule (cron: every five seconds)');
  for (;;) {
    const { rotations } = await actors.api.get<{ rotations: { id: string; trigger: string }[] }>(
      '/v1/rotations',
    );
    const found = rotations.find(({ trigger }) => trigger === 'schedule');
    if (found) {
      await actors.api.post(`${PATH}/pause`);
      return followed(actors, found.id);
    }
    actors.screen.live(`   waiting for the clock ... ${await actors.status()}`);
    await pause(100);
  }
}

export async function onDemand(actors: Actors): Promise<RotationJson> {
  actors.screen.say('\n2. A rotation on demand');
  return followed(actors, await begin(actors));
}

/** One consumer doesn't get healthy with the new credential: everybody goes back, and nobody notices. */
export async function failingRollout(actors: Actors): Promise<RotationJson> {
  const victim = actors.clients.at(-1);
  actors.screen.say(
    `\n3. A rollout that fails: ${victim?.name} does not get healthy with any new credential`,
  );
  await fetch(`${victim?.url}/break`, { method: 'POST' });
  const rotation = await followed(actors, await begin(actors));
  await fetch(`${victim?.url}/mend`, { method: 'POST' });
  return rotation;
}

/** The worker is killed with SIGKILL while it moves the consumers; another one goes on. */
export async function killedWorker(actors: Actors, replace: () => Promise<Child>): Promise<RotationJson> {
  actors.screen.say('\n4. A worker killed by kill -9 in the middle of a rotation');
  const id = await begin(actors);
  for (;;) {
    const { step, worker, state } = await actors.api.get<RotationJson>(`/v1/rotations/${id}`);
    if (step === 'rollout' && worker) {
      const pid = Number(worker.split('/').at(-1));
      const index = actors.workers.findIndex((each) => each.pid === pid);
      actors.workers[index]?.kill('SIGKILL');
      actors.screen.say(`   kill -9 ${pid}, in step ${step}`);
      actors.workers.splice(index, 1, await replace());
      return followed(actors, id);
    }
    if (ENDED.includes(state)) return followed(actors, id);
    await pause(20);
  }
}

async function begin({ api }: Actors): Promise<string> {
  return (await api.post<{ rotation: string }>(`${PATH}/rotate`)).rotation;
}

async function followed(actors: Actors, id: string): Promise<RotationJson> {
  for (;;) {
    const rotation = await actors.api.get<RotationJson>(`/v1/rotations/${id}`);
    if (ENDED.includes(rotation.state)) {
      for (const step of rotation.steps) actors.screen.say(`   ${stepLine(step)}`);
      actors.screen.say(`   ${verdict(rotation)}`);
      return rotation;
    }
    const waiting = rotation.waitReason ? `\n   waiting: ${rotation.waitReason}` : '';
    actors.screen.live(
      `${rotation.steps.map((step) => `   ${stepLine(step)}`).join('\n')}${waiting}\n   ${await actors.status()}`,
    );
    await pause(60);
  }
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
